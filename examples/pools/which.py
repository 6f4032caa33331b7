"""The same tasks in threads and in processes: what differs."""

import os
import time

from rookery import ProcessPool, TaskTimeout, ThreadPool, WorkerDied

seen = []


def see(number):
    seen.append(number)
    return os.getpid()


def stop_late(path):
    time.sleep(0.5)
    os.close(os.open(path, os.O_CREAT))


def crash():
    os.abort()


if __name__ == "__main__":
    path = f"/tmp/rookery-which-{os.getpid()}"
    with ThreadPool(4) as threads, ProcessPool(4) as processes:
        for name, pool in (("threads", threads), ("processes", processes)):
            seen.clear()
            pids = set(pool.map(see, range(4)))
            print(f"{name}: our own process: {pids == {os.getpid()}}, our list has {len(seen)} more")
            try:
                pool.options(timeout=0.1).submit(stop_late, path).result()
            except TaskTimeout:
                time.sleep(0.6)
                print(f"{name}: past its time limit the task went on: {os.path.exists(path)}")
            if os.path.exists(path):
                os.unlink(path)
        try:
            processes.submit(crash).result()
        except WorkerDied as error:
            print(f"processes: a crash ({error.signal}) is one task's; threads would have gone with us")
