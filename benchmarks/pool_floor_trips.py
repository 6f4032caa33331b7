"""Seconds of each of many tasks, one at a time."""

import argparse
import asyncio
import concurrent.futures
import os
import pickle
import socket
import threading
import time

from pool_floor_sockets import Engine, Worker, encoded, pickled

TRIPS = 3000


def trips_bytes(_options):
    """Two processes and one stream socket pair: fourteen bytes there and back."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        while data := theirs.recv(4096):
            theirs.send(data)
        os._exit(0)
    theirs.close()

    def trip(_number):
        ours.send(b"fourteen bytes")
        ours.recv(4096)

    took = _timed(trip)
    ours.close()
    os.waitpid(pid, 0)
    return took


def trips_pickled(_options):
    worker = Worker(pickled(0))

    def trip(number):
        worker.tasks.send(encoded(number, number))
        [(_, body)] = worker.received()
        pickle.loads(body)

    took = _timed(trip)
    worker.close()
    return took


def trips_asyncio(options):
    async def main():
        loop = asyncio.get_running_loop()
        engine = Engine(pickled(0), argparse.Namespace(workers=1, window=options.window), loop.create_future)
        [worker] = engine.workers

        def readable():
            for future, result in engine.received(worker):
                future.set_result(result)

        loop.add_reader(worker.replies.fileno(), readable)
        took = []
        for number in range(TRIPS):
            began = time.perf_counter()
            await engine.run(number)
            took.append(time.perf_counter() - began)
        loop.remove_reader(worker.replies.fileno())
        engine.close()
        return took

    return asyncio.run(main())


def trips_thread(options):
    """A thread reads, the caller waits for the future's condition."""
    engine = Engine(pickled(0), argparse.Namespace(workers=1, window=options.window), concurrent.futures.Future)
    [worker] = engine.workers

    def read():
        for _ in range(TRIPS):
            for future, result in engine.received(worker):
                future.set_result(result)

    thread = threading.Thread(target=read)
    thread.start()
    took = _timed(lambda number: engine.run(number).result())
    thread.join()
    engine.close()
    return took


def trips_caller(options):
    """The caller itself reads what it waits for."""
    engine = Engine(pickled(0), argparse.Namespace(workers=1, window=options.window), concurrent.futures.Future)
    [worker] = engine.workers

    def trip(number):
        wanted = engine.run(number)
        for future, result in engine.received(worker):
            future.set_result(result)
        wanted.result()

    took = _timed(trip)
    engine.close()
    return took


def _timed(trip):
    took = []
    for number in range(TRIPS):
        began = time.perf_counter()
        trip(number)
        took.append(time.perf_counter() - began)
    return took


BARE_TRIP = "14 bytes through a socket pair"
TRIP_WAYS = {
    BARE_TRIP: trips_bytes,
    "pickled, one thread": trips_pickled,
    "asyncio future": trips_asyncio,
    "concurrent future, the caller reads": trips_caller,
    "concurrent future, a thread reads": trips_thread,
}
