import asyncio

from rookery import Cluster

asyncio.run(Cluster("reports:app", bind=":8000", workers="max", balance="least_connections").serve())
