"""Tasks given to threads: what one costs, against concurrent.futures and asyncio. About half a minute.

    python benchmarks/pool_threads.py [--tasks 20000] [--rounds 5] [--workers 4]

Every task does nothing, so that all that is measured is the pool. The contenders take turns, so that what else the
machine does meets all; medians of the rounds.
"""

import argparse
import asyncio
import statistics
import time
from concurrent.futures import ThreadPoolExecutor, wait

from rookery import ThreadPool


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    with ThreadPool(options.workers) as ours, ThreadPoolExecutor(options.workers) as theirs:
        for title, measure in (
            ("submit all, then wait", submit_all),
            ("submit, wait, submit, ...", one_by_one),
            ("map", map_all),
            ("await all together (asyncio)", gather),
            ("await one after the other (asyncio)", await_one_by_one),
        ):
            compare(title, measure, ours, theirs, options)


def compare(title, measure, ours, theirs, options):
    count = options.tasks // 10 if "one" in measure.__name__ else options.tasks
    for pool in (ours, theirs):
        measure(pool, count // 10)  # threads and caches are there now
    times = {ours: [], theirs: []}
    for _ in range(options.rounds):
        for pool, found in times.items():
            start = time.perf_counter()
            measure(pool, count)
            found.append((time.perf_counter() - start) / count)
    mine, other = (statistics.median(times[pool]) for pool in (ours, theirs))
    print(
        f"{title:36} ThreadPool {mine * 1e6:7.1f} us   standard library {other * 1e6:7.1f} us   {other / mine:5.2f} x"
    )


def nothing(_=None):
    return None


def submit_all(pool, count):
    wait([pool.submit(nothing) for _ in range(count)])


def one_by_one(pool, count):
    for _ in range(count):
        pool.submit(nothing).result()


def map_all(pool, count):
    for _ in pool.map(nothing, range(count)):
        pass


def gather(pool, count):
    asyncio.run(_gather(pool, count))


async def _gather(pool, count):
    await asyncio.gather(*_given(pool, count))


def _given(pool, count):
    if isinstance(pool, ThreadPool):
        return [pool.run(nothing) for _ in range(count)]
    loop = asyncio.get_running_loop()
    return [loop.run_in_executor(pool, nothing) for _ in range(count)]


def await_one_by_one(pool, count):
    asyncio.run(_await_one_by_one(pool, count))


async def _await_one_by_one(pool, count):
    for _ in range(count):
        await _given(pool, 1)[0]


if __name__ == "__main__":
    main()
