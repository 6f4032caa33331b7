"""One of a team: squares numbers, keeps notes, hands tasks on to others."""

import asyncio

from rookery.ipc.hub_words import task


async def main(channel, name):
    notes = []

    async def square(message):
        if message["n"] is None:
            await sleep(message)
        if message["n"] < 0:
            raise ValueError("not negative")
        return [name, message["n"] ** 2]

    async def sleep(_):
        await channel.send({"type": "begun"})
        await asyncio.sleep(3600)

    async def delegate(message):
        return [name, await channel.request(task({"type": "square", "n": message["n"]}, to=message["to"]))]

    channel.on("who", lambda _: name)
    channel.on("note", lambda message: notes.append(message["text"]))
    channel.on("notes", lambda _: notes)
    channel.on("sleep", sleep)
    channel.on("square", square)
    channel.on("delegate", delegate)
    async for message in channel:
        if message["type"] == "leave":
            return
