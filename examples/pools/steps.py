"""One long task that tells how far it is, is tried again when its worker dies, and can be ended."""

import os
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from rookery import ProcessPool, WorkerDied, report_progress


def convert(parts, once):
    for part in range(parts):
        report_progress(f"{part + 1} of {parts}")
        if part == 1 and not once.exists():
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)  # what the out-of-memory killer does
    return "converted"


def for_ever():
    time.sleep(3600)


if __name__ == "__main__":
    with TemporaryDirectory() as folder, ProcessPool(2) as pool:
        once = Path(folder) / "died"
        try:
            pool.submit(convert, 3, once).result()
        except WorkerDied as error:
            print(f"without retries: ended by {error.signal}")
        once.unlink()
        patient = pool.options(retries=1, on_progress=print, timeout=60)
        print(patient.submit(convert, 3, once).result())
        endless = pool.submit(for_ever)
        while not endless.running():
            time.sleep(0.01)
        print("cancelled:", endless.cancel(running=True))
        tasks = pool.status().tasks
        print(
            f"{tasks.completed} completed, {tasks.failed} failed, {tasks.retried} retried, {tasks.cancelled} cancelled"
        )
