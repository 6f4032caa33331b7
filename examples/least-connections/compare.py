"""Every second request is for a report. How many reports does each of two workers get?"""

import asyncio
from collections import Counter

from rookery import Cluster


async def ask(address, path):
    """The slot of the worker that answers."""
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return int(answer.rsplit(b"\r\n", 1)[1])


async def reports(balance):
    async with Cluster("reports:app", bind="127.0.0.1:0", workers=2, balance=balance) as cluster:
        address, asked = cluster.addresses[0], []
        for _ in range(6):
            asked.append(asyncio.ensure_future(ask(address, "/report")))
            await asyncio.sleep(0.05)  # it is with its worker
            await ask(address, "/")
        counts = Counter(await asyncio.gather(*asked))
        return [counts[slot] for slot in range(2)]


async def main():
    for balance in ("round_robin", "least_connections"):
        print(f"{balance}: {await reports(balance)}")


asyncio.run(main())
