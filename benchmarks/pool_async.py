"""The works which are done from an event loop."""

import asyncio
import time

import pool_works
from pool_tasks import nothing


def gathered(make, size):
    async def main():
        pool = make()
        await asyncio.gather(*[pool.run(nothing, number) for number in range(200)])
        began = time.perf_counter()
        found = await asyncio.gather(*[pool.run(nothing, number) for number in range(size)])
        took = time.perf_counter() - began
        pool_works.check(found, list(range(size)))
        return pool, took

    pool, took = asyncio.run(main())
    pool.close()
    return {"seconds": took}


def awaited(steps):
    """As pool_works.called()."""

    async def main(make, size):
        pool = make()
        await asyncio.gather(*[pool.run(nothing, number) for number in range(200)])
        going = steps(size)
        step = next(going)
        try:
            while True:
                step = going.send(await pool.run(*step))
        except StopIteration as end:
            return pool, end.value

    def work(make, size):
        pool, found = asyncio.run(main(make, size))
        pool.close()
        return found

    return work


WORKS = {
    "asyncio": gathered,
    "asyncio trips": awaited(pool_works.trips),
    "asyncio array": awaited(pool_works.array),
    "asyncio echo": awaited(pool_works.echo),
}
