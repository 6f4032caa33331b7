"""The pools, brought to one surface. A library is imported when it is asked for: one contender to a process.

submit(function, value) gives something for result(); call() waits for one result; map() gives all of them as a list;
run() is what asyncio code awaits. What a pool has not got, its class has not got. Nor is asyncio imported before it is
needed: who wants to see how long a start takes must not find it there.
"""

# ruff: noqa: PLC0415 - see above


class Executor:
    """What all that follow concurrent.futures have in common."""

    def submit(self, function, value):
        return self.pool.submit(function, value)

    def result(self, handle, timeout=None):
        return handle.result(timeout)

    def call(self, function, value):
        return self.submit(function, value).result()

    def run(self, function, value):
        return _loop().run_in_executor(self.pool, function, value)

    def map(self, function, values):
        return list(self.pool.map(function, values, chunksize=self.chunk(values)))

    def chunk(self, values):
        """As large as multiprocessing.Pool makes them: these pools do not choose, and their manuals tell to."""
        return -(-len(values) // (self.workers * 4))

    def close(self):
        self.pool.shutdown()


class Rookery(Executor):
    @staticmethod
    def library():
        from rookery import ProcessPool

        return ProcessPool

    def __init__(self, workers):
        self.pool = self.library()(workers)

    def run(self, function, value):
        return self.pool.run(function, value)

    def map(self, function, values):
        return list(self.pool.map(function, values, chunksize="auto"))


class Futures(Executor):
    @staticmethod
    def library():
        from concurrent.futures import ProcessPoolExecutor

        return ProcessPoolExecutor

    def __init__(self, workers):
        self.workers = workers
        self.pool = self.library()(workers)


class Loky(Executor):
    @staticmethod
    def library():
        from loky import ProcessPoolExecutor

        return ProcessPoolExecutor

    def __init__(self, workers):
        self.workers = workers
        self.pool = self.library()(workers)


class Pebble(Executor):
    @staticmethod
    def library():
        from pebble import ProcessPool

        return ProcessPool

    def __init__(self, workers):
        self.workers = workers
        self.pool = self.library()(workers)

    def submit(self, function, value):
        return self.pool.submit(function, None, value)

    def run(self, function, value):
        return _loop().run_in_executor(self.pool, function, None, value)

    def map(self, function, values):
        return list(self.pool.map(function, values, chunksize=self.chunk(values)).result())

    def close(self):
        self.pool.close()
        self.pool.join()


class Multiprocessing:
    @staticmethod
    def library():
        from multiprocessing.pool import Pool

        return Pool

    def __init__(self, workers):
        self.pool = self.library()(workers)

    def submit(self, function, value):
        return self.pool.apply_async(function, (value,))

    def result(self, handle, timeout=None):
        return handle.get(timeout)

    def call(self, function, value):
        return self.pool.apply(function, (value,))

    def map(self, function, values):
        return self.pool.map(function, values)

    def close(self):
        self.pool.terminate()
        self.pool.join()


class Mpire(Multiprocessing):
    @staticmethod
    def library():
        from mpire import WorkerPool

        return WorkerPool

    def __init__(self, workers):
        self.pool = self.library()(workers, keep_alive=True)

    def call(self, function, value):
        return self.pool.apply(function, (value,))

    def map(self, function, values):
        return self.pool.map(function, values)

    def close(self):
        self.pool.terminate()


class Joblib:
    """No submit: it goes through an iterable, and chooses how many calls go at once."""

    @staticmethod
    def library():
        from joblib import Parallel, delayed

        return Parallel, delayed

    def __init__(self, workers):
        parallel, self._delayed = self.library()
        self.pool = parallel(workers)
        self.pool.__enter__()

    def call(self, function, value):
        return self.pool([self._delayed(function)(value)])[0]

    def map(self, function, values):
        return self.pool(map(self._delayed(function), values))

    def close(self):
        self.pool.__exit__(None, None, None)


class Anyio:
    """For async code alone; call() is good for one call, then anyio has ended its workers."""

    @staticmethod
    def library():
        from asyncio import Runner

        from anyio import CapacityLimiter, to_process

        return CapacityLimiter, to_process, Runner

    def __init__(self, workers):
        self._new_limit, self._to_process, runner = self.library()
        self._limits, self._workers = {}, workers
        self._runner = runner()

    def run(self, function, value):
        loop = _loop()
        if loop not in self._limits:
            self._limits[loop] = self._new_limit(self._workers)
        return self._to_process.run_sync(function, value, limiter=self._limits[loop])

    def call(self, function, value):
        async def one():
            return await self.run(function, value)

        return self._runner.run(one())

    def close(self):
        self._runner.close()


def _loop():
    from asyncio import get_running_loop

    return get_running_loop()


CONTENDERS = {
    "rookery": Rookery,
    "ProcessPoolExecutor": Futures,
    "multiprocessing.Pool": Multiprocessing,
    "loky": Loky,
    "pebble": Pebble,
    "mpire": Mpire,
    "joblib": Joblib,
    "anyio.to_process": Anyio,
}
