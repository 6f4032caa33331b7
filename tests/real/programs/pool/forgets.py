"""A program with a pool of scripts: forks in the middle, and ends without closing it."""

import gc
import os
import sys

from rookery.pool import ProcessPool

if __name__ == "__main__":
    pool = ProcessPool(1, script=sys.argv[1])
    parents = pool.submit("pid").result()
    child = os.fork()
    if not child:
        # In the copy the pool is empty, and starts a worker of its own.
        own = pool.submit("pid").result()
        print("own" if own != parents else "the parent's", flush=True)
        pool.shutdown()
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)
    print("alive" if pool.submit("pid").result() == parents else "replaced", flush=True)
    last = pool.submit("sleep", 0.1)
    last.add_done_callback(lambda future: print("done", future.result(), flush=True))
