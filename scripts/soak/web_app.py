"""An HTTP app for the soak: as small as can be, many requests a second."""

import asyncio
import os


async def serve(reader, writer):
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            body = str(os.getpid()).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(os.environ["PORT"]))
    async with server:
        await server.serve_forever()


asyncio.run(main())
