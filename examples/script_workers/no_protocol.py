"""Scripts that know of no protocol: a message in, a message out. What they print is kept."""

from pathlib import Path

from rookery.errors import TaskTimeout, WorkerDied
from rookery.pool import ProcessPool

HERE = Path(__file__).parent

if __name__ == "__main__":
    with ProcessPool(1, script=HERE / "square.js", protocol="plain", max_tasks_per_worker=None) as pool:
        print(pool.submit(12).result())
        print(list(pool.map([1, 2, 3])))
        try:
            pool.submit("twelve").result()
        except WorkerDied as error:
            print(error.code, error.stderr)
        try:
            pool.options(timeout=0.2).submit(-1).result()
        except TaskTimeout:
            print("too slow")
        print(pool.submit(5).result())
