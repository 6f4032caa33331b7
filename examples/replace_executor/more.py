"""What ProcessPoolExecutor does not have."""

import asyncio
import os
import signal
import time

from rookery import ProcessPool, TaskTimeout


def hang():
    time.sleep(3600)


def square(number):
    return number * number


def dies_at_first(path):
    if not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done at the second try"


async def main(folder):
    async with ProcessPool(2) as pool:
        print(await pool.run(square, 4))  # no run_in_executor

        try:
            await pool.options(timeout=0.2).run(hang)  # its worker is killed and replaced
        except TaskTimeout:
            print("the task is over, and so is its process")

        running = pool.submit(hang)
        while not running.running():  # noqa: ASYNC110 - it has nothing to wait for
            await asyncio.sleep(0.01)
        print(running.cancel(), running.cancel(running=True))

        print(await pool.options(retries=1).run(dies_at_first, os.path.join(folder, "once")))
        print([number async for number in pool.map(square, range(5))])

        status = pool.status()
        print(status.tasks.completed, "completed", status.tasks.timed_out, "timed out", status.tasks.retried, "retried")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(folder))
