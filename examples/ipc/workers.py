"""Three worker processes count primes, give each other work, and one of them is killed; nothing hangs.

python examples/ipc/workers.py
"""

import asyncio
import socket
import subprocess
import sys

from rookery import Channel, Disconnected, Health, Hub, RemoteError, SyncChannel
from rookery.ipc.hub_words import task

NAMES = ["ann", "bob", "cid"]


def worker(fd):
    """What runs in each worker: no event loop is needed."""
    channel = SyncChannel(socket.socket(fileno=fd))

    def primes(message):
        low, high = message["from"], message["to"]
        return sum(all(number % part for part in range(2, int(number**0.5) + 1)) for number in range(max(2, low), high))

    def shared(message):
        """Half of it here, the other half by whoever the hub chooses among the others."""
        low, high = message["from"], message["to"]
        middle = (low + high) // 2
        mine = primes({"from": low, "to": middle})
        return mine + channel.request(task({"type": "primes", "from": middle, "to": high}))

    channel.on("primes", primes)
    channel.on("shared", shared)
    channel.on("hang", lambda _: sys.stdin.read())
    channel.serve()


def start(name):
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, __file__, str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.PIPE)
    return Channel(ours, name=name), process


async def main():
    workers = {name: start(name) for name in NAMES}
    # A worker answers pings between its tasks only: give it time.
    async with Hub(health=Health(period=1, timeout=10)) as hub:
        for name, (channel, _) in workers.items():
            hub.join(name, channel)
        parts = [{"type": "primes", "from": low, "to": low + 5000} for low in range(0, 60_000, 5000)]
        counts = await asyncio.gather(*map(hub.request, parts))
        print(f"{sum(counts)} primes below 60000")
        print("tasks done by each:", [member.done for member in hub.members.values()])
        print(await hub.request({"type": "shared", "from": 0, "to": 20_000}, to="ann"), "below 20000, by two of them")

        hanging = asyncio.create_task(hub.request({"type": "hang"}, to="bob"))
        await hub.members["ann"].channel.ping()
        workers["bob"][1].kill()
        try:
            await hanging
        except (Disconnected, RemoteError) as error:
            print("bob:", error.what)
        print("left:", ", ".join(hub.members))
    for channel, process in workers.values():
        await channel.close()  # a worker whose channel has ended ends too
        process.stdin.close()
        process.wait()


if len(sys.argv) > 1:
    worker(int(sys.argv[1]))
else:
    asyncio.run(main())
