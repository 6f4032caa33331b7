"""A worker that crashes fails its own task. ProcessPoolExecutor fails all that wait, and is of no use afterwards."""

import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from rookery import ProcessPool, WorkerDied


def work(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    return number


def outcomes(pool):
    futures = [pool.submit(work, number) for number in range(8)]
    failed = []
    for number, future in enumerate(futures):
        try:
            future.result()
        except (BrokenProcessPool, WorkerDied):
            failed.append(number)
    return failed


def main():
    with ProcessPoolExecutor(1) as pool:
        print("ProcessPoolExecutor lost", len(outcomes(pool)) > 1 and "more than one")
        try:
            pool.submit(work, 1)
        except BrokenProcessPool:
            print("and takes no more")
    with ProcessPool(1) as pool:
        print("ProcessPool lost", outcomes(pool))
        error = pool.submit(work, 3).exception()
        print("by", error.signal)
        print("and goes on:", pool.submit(work, 1).result())


if __name__ == "__main__":
    main()
