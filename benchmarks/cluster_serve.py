"""A rookery.cluster.Cluster by the options in its argument (JSON). Commands on its input, answers on its output.

Each answer is a line of JSON. "workers": the pids of those that are ready; "reload": the seconds it took. It ends with
its input.
"""

import asyncio
import json
import sys
import time

from rookery.cluster.cluster import Cluster


async def main():
    async with Cluster(**json.loads(sys.argv[1])) as cluster:
        say({"addresses": cluster.addresses})
        commands = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
        while command := (await commands.readline()).decode().strip():
            try:
                say(await answer(cluster, command))
            except Exception as error:  # the benchmark tells it
                say({"error": f"{type(error).__name__}: {error}"})


async def answer(cluster, command):
    if command == "workers":
        return {"workers": [row.pid for row in cluster.status().workers if row.role == "serving" and row.ready]}
    if command == "reload":
        began = time.monotonic()
        await cluster.reload()
        return {"reloaded": time.monotonic() - began}
    return {"error": f"unknown command: {command}"}


def say(answer):
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
