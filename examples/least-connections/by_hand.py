"""The first worker is for our own machines; the others share the rest."""

import asyncio

from rookery import Cluster


def choose(address, workers):
    """address: (host, port, ...), "" for a Unix socket; workers: rows of slot, id, connections, waiting."""
    if address and address[0].startswith("10."):
        return workers[0].slot
    others = workers[1:] or workers
    return min(others, key=lambda worker: worker.connections).slot


if __name__ == "__main__":
    asyncio.run(Cluster("reports:app", bind=":8000", workers=4, balance=choose).serve())
