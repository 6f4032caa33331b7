"""CPU-heavy work behind a web server: the pool has a time limit, the server answers 408 when it is over."""

import asyncio
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from rookery import ProcessPool, TaskTimeout


def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


async def answer(request):
    n = int(request.path_params["n"])
    try:
        value = await request.app.state.pool.run(fibonacci, n)
    except TaskTimeout as error:
        return JSONResponse({"error": str(error).split(" (")[0], "limit": error.after}, status_code=408)
    return JSONResponse({"n": n, "fibonacci": value})


async def health(request):
    status = request.app.state.pool.status()
    return JSONResponse({"workers": status.workers.total, "timed_out": status.tasks.timed_out})


@asynccontextmanager
async def lifespan(app):
    async with ProcessPool(2, task_timeout=1) as app.state.pool:
        yield


app = Starlette(routes=[Route("/fibonacci/{n}", answer), Route("/health", health)], lifespan=lifespan)


async def get(port, path):
    """A small client, so that this program shows itself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    text = (await reader.read()).decode()
    writer.close()
    return int(text.split()[1]), text.partition("\r\n\r\n")[2]


async def main():
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - it has nothing to wait for
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    # The long one and the short ones at the same time: nobody waits for anybody.
    slow = asyncio.create_task(get(port, "/fibonacci/60"))
    for n in (10, 20):
        print(*await get(port, f"/fibonacci/{n}"))
    print(*await slow)
    print(*await get(port, "/health"))
    server.should_exit = True
    await serving


if __name__ == "__main__":
    asyncio.run(main())
