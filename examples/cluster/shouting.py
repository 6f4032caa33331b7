"""A server of our own protocol: lines in, the same in capitals out. No HTTP anywhere."""


async def handle(reader, writer):
    async for line in reader:
        writer.write(line.upper())
        await writer.drain()
