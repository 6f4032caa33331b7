"""The workers of master.py and health.py: ``fork("team:main", data=name)``."""

import time

from rookery.ipc.hub_words import task


async def main(channel, name):
    heard = []

    async def delegate(message):
        answer = await channel.request(task({"type": "square", "n": message["n"]}, to=message["to"]))
        return f"{name} had it done: {answer}"

    channel.on("square", lambda message: f"{name}: {message['n']} * {message['n']} = {message['n'] ** 2}")
    channel.on("delegate", delegate)
    channel.on("news", lambda message: heard.append(message["text"]))
    channel.on("heard", lambda _: f"{name} heard {heard}")
    channel.on("hang", lambda message: time.sleep(message["seconds"]))  # a worker that does not come back to its loop
    await channel.wait_closed()
