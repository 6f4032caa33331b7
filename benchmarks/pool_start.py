"""How long until a worker process runs: ours, multiprocessing's and plain programs. Half a minute.

    python benchmarks/pool_start.py [--rounds 7] [--workers 20] [--markdown]

The worker's first act is to write a byte. First: the first worker of a program, with whatever has to be started for it.
Later: the median of the following ones, one after the other. The contenders take turns, each in a process of its own.
"""

import os
import sys
import time


def says(fds, _):
    """What a worker is here: it says that it runs, and ends with its parent."""
    os.write(fds[0], b".")
    os.read(fds[1], 1)


def says_to(connection, hold):
    connection.send_bytes(b".")
    hold.poll(None)


def rookery(count, *preload):
    """A nursery in a running event loop, as the pool has it."""
    import asyncio  # noqa: PLC0415 - each contender loads what is its own

    from rookery.pool.nursery.nursery import Nursery  # noqa: PLC0415

    async def main():
        nursery, taken = Nursery(target="pool_start:says", preload=preload), []
        read, write = os.pipe()
        hold, held = os.pipe()
        for number in range(count):
            began = time.perf_counter()
            await nursery.start_worker(f"worker {number}", [write, hold], b"")
            os.read(read, 1)
            taken.append(time.perf_counter() - began)
        os.close(held)
        await nursery.close()
        return taken

    return asyncio.run(main())


def rookery_pool(count):
    return rookery(count, "rookery.pool.processes.child")


def multiprocess(count, method):
    import multiprocessing  # noqa: PLC0415

    context = multiprocessing.get_context(method)
    taken, processes = [], []
    (read, write), (hold, held) = context.Pipe(duplex=False), context.Pipe(duplex=False)
    for _ in range(count):
        began = time.perf_counter()
        process = context.Process(target=says_to, args=(write, hold))
        process.start()
        read.recv_bytes()
        taken.append(time.perf_counter() - began)
        processes.append(process)
    held.close()
    for process in processes:
        process.kill()
        process.join()
    return taken


def forkserver(count):
    return multiprocess(count, "forkserver")


def spawn(count):
    return multiprocess(count, "spawn")


def fork(count):
    return multiprocess(count, "fork")


def program(count, *flags):
    import subprocess  # noqa: PLC0415

    taken, children = [], []
    for _ in range(count):
        began = time.perf_counter()
        code = "import os; os.write(1, b'.'); os.read(0, 1)"
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        child = subprocess.Popen([sys.executable, *flags, "-c", code], **options)
        os.read(child.stdout.fileno(), 1)
        taken.append(time.perf_counter() - began)
        children.append(child)
    for child in children:
        child.kill()
        child.communicate()
    return taken


def isolated(count):
    return program(count, "-I", "-S")


CONTENDERS = {
    "rookery": rookery,
    "rookery, with the pool's modules": rookery_pool,
    "multiprocessing forkserver": forkserver,
    "multiprocessing spawn": spawn,
    "multiprocessing fork (not safe with threads)": fork,
    "python -c, exec'd": program,
    "python -I -S -c, exec'd": isolated,
}


def main():
    import argparse  # noqa: PLC0415 - not for those who import this file again in each worker
    import json  # noqa: PLC0415
    import subprocess  # noqa: PLC0415

    from report import Report, median, milliseconds  # noqa: PLC0415

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--workers", type=int, default=20)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    report = Report(markdown=options.markdown)
    report.machine()
    first, later = ({name: [] for name in CONTENDERS} for _ in range(2))
    for _ in range(options.rounds + 1):
        for name in CONTENDERS:
            command = [sys.executable, __file__, "--contender", name, str(options.workers)]
            taken = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
            first[name].append(taken[0])
            later[name].append(median(taken[1:]))
    # The first round has compiled what was new.
    rows = [
        [
            name,
            *(
                milliseconds(value)
                for value in (median(first[name][1:]), min(first[name][1:]), median(later[name][1:]))
            ),
        ]
        for name in CONTENDERS
    ]
    report.table("Until a worker runs", ["", "first", "first, best", "later"], rows)
    for name in ("rookery", "rookery, with the pool's modules"):
        report.target(f"first worker: {name}", median(first[name][1:]) * 1000, 25, unit=" ms", digits=1)
    report.target("later workers", median(later["rookery"][1:]) * 1000, 2, unit=" ms", digits=2)
    report.targets()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--contender"]:
        import json

        print(json.dumps(CONTENDERS[sys.argv[2]](int(sys.argv[3]))))
    else:
        main()
