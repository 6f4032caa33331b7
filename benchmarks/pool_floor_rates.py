"""Seconds for many tasks, in each of the ways."""

import asyncio
import concurrent.futures
import multiprocessing
import os
import pickle
import select
import threading
import time

from pool_floor_sockets import Engine, Worker, bare, encoded, nothing, pickled


def driven(serve, encode, decode, options):
    """One thread, no futures."""
    workers = [Worker(serve) for _ in range(options.workers)]
    poll = select.epoll()
    by_fd = {worker.replies.fileno(): worker for worker in workers}
    for fd in by_fd:
        poll.register(fd, select.EPOLLIN)
    sent = done = 0
    count = options.tasks
    began = time.perf_counter()
    for worker in workers:
        for _ in range(options.window):
            worker.tasks.send(encode(sent, sent))
            sent += 1
    while done < count:
        for fd, _ in poll.poll():
            worker = by_fd[fd]
            found = worker.received()
            for _, body in found:
                decode(body)
            done += len(found)
            for _ in range(min(len(found), count - sent)):
                worker.tasks.send(encode(sent, sent))
                sent += 1
    took = time.perf_counter() - began
    for worker in workers:
        worker.close()
    return took


def ignored(body):
    return body


def numbered(number, _argument):
    return number.to_bytes(8, "little") + b"sixteen bytes..."


def asyncio_futures(serve, options):
    async def main():
        loop = asyncio.get_running_loop()
        engine = Engine(serve, options, loop.create_future)

        def readable(worker):
            for future, result in engine.received(worker):
                future.set_result(result)

        for worker in engine.workers:
            loop.add_reader(worker.replies.fileno(), readable, worker)
        began = time.perf_counter()
        await asyncio.gather(*[engine.run(number) for number in range(options.tasks)])
        took = time.perf_counter() - began
        for worker in engine.workers:
            loop.remove_reader(worker.replies.fileno())
        engine.close()
        return took

    return asyncio.run(main())


def gather_alone(options):
    """No pool at all: what the loop needs for so many futures."""

    async def main():
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        futures = [loop.create_future() for _ in range(options.tasks)]
        for number, future in enumerate(futures):
            loop.call_soon(future.set_result, number)
        await asyncio.gather(*futures)
        return time.perf_counter() - began

    return asyncio.run(main())


def reader_thread(serve, options, *, sends):
    """Futures of concurrent.futures, completed by a thread. sends: it sends too, and the caller only puts into line."""
    engine = Engine(serve, options, concurrent.futures.Future)
    lock, ended = threading.Lock(), threading.Event()
    wake = os.eventfd(0, os.EFD_NONBLOCK)
    asleep = True

    def read():
        nonlocal asleep
        poll = select.epoll()
        by_fd = {worker.replies.fileno(): worker for worker in engine.workers}
        for fd in (*by_fd, wake):
            poll.register(fd, select.EPOLLIN)
        while not ended.is_set():
            for fd, _ in poll.poll():
                if fd == wake:
                    os.eventfd_read(wake)
                    with lock:
                        for worker in engine.workers:
                            engine.refill(worker)
                        asleep = True  # what cannot be sent now goes out with the replies
                    continue
                with lock:
                    found = engine.received(by_fd[fd])
                for future, result in found:
                    future.set_result(result)

    def put(number):
        nonlocal asleep
        with lock:
            future = engine.put(number)
            if woken := asleep and any(worker.room for worker in engine.workers):
                asleep = False
        if woken:
            os.eventfd_write(wake, 1)
        return future

    def run(number):
        with lock:
            return engine.run(number)

    thread = threading.Thread(target=read)
    thread.start()
    submit = put if sends else run
    began = time.perf_counter()
    for future in [submit(number) for number in range(options.tasks)]:
        future.result()
    took = time.perf_counter() - began
    ended.set()
    os.eventfd_write(wake, 1)
    thread.join()
    engine.close()
    return took


def caller_reads(serve, options):
    """Futures of concurrent.futures, completed by the thread that waits for them: no other thread is there."""
    engine = Engine(serve, options, concurrent.futures.Future)
    poll = select.epoll()
    by_fd = {worker.replies.fileno(): worker for worker in engine.workers}
    for fd in by_fd:
        poll.register(fd, select.EPOLLIN)

    def read(limit):
        for fd, _ in poll.poll(limit):
            for future, result in engine.received(by_fd[fd]):
                future.set_result(result)

    began = time.perf_counter()
    futures = []
    for number in range(options.tasks):
        futures.append(engine.run(number))
        if not number % 32:
            read(0)  # else the workers have nothing to do while the caller makes futures
    for future in futures:
        while not future.done():
            read(-1)
        future.result()
    took = time.perf_counter() - began
    engine.close()
    return took


def futures_alone(options):
    """No pool at all: what so many futures of concurrent.futures need, made and completed by one thread."""
    began = time.perf_counter()
    futures = [concurrent.futures.Future() for _ in range(options.tasks)]
    for number, future in enumerate(futures):
        future.set_result(number)
    for future in futures:
        future.result()
    return time.perf_counter() - began


def executor(options):
    with concurrent.futures.ProcessPoolExecutor(options.workers) as pool:
        [future.result() for future in [pool.submit(nothing, number) for number in range(100)]]
        began = time.perf_counter()
        for future in [pool.submit(nothing, number) for number in range(options.tasks)]:
            future.result()
        return time.perf_counter() - began


def apply_async(options):
    with multiprocessing.Pool(options.workers) as pool:
        [result.get() for result in [pool.apply_async(nothing, (number,)) for number in range(100)]]
        began = time.perf_counter()
        for result in [pool.apply_async(nothing, (number,)) for number in range(options.tasks)]:
            result.get()
        return time.perf_counter() - began


GATHERED = 32
WAYS = {
    "bytes, one thread": lambda o: driven(bare(0), numbered, ignored, o),
    "bytes, one thread, gathered": lambda o: driven(bare(GATHERED), numbered, ignored, o),
    "pickled, one thread": lambda o: driven(pickled(0), encoded, pickle.loads, o),
    "pickled, one thread, gathered": lambda o: driven(pickled(GATHERED), encoded, pickle.loads, o),
    "asyncio futures, gather()": lambda o: asyncio_futures(pickled(0), o),
    "asyncio futures, gather(), gathered": lambda o: asyncio_futures(pickled(GATHERED), o),
    "gather() alone, no pool": gather_alone,
    "concurrent futures, a thread reads": lambda o: reader_thread(pickled(0), o, sends=False),
    "concurrent futures, a thread reads, gathered": lambda o: reader_thread(pickled(GATHERED), o, sends=False),
    "concurrent futures, a thread reads and sends": lambda o: reader_thread(pickled(0), o, sends=True),
    "concurrent futures, a thread reads and sends, gathered": lambda o: reader_thread(pickled(GATHERED), o, sends=True),
    "concurrent futures, the caller reads": lambda o: caller_reads(pickled(0), o),
    "concurrent futures, the caller reads, gathered": lambda o: caller_reads(pickled(GATHERED), o),
    "concurrent futures alone, no pool": futures_alone,
    "ProcessPoolExecutor.submit": executor,
    "multiprocessing.Pool.apply_async": apply_async,
}
