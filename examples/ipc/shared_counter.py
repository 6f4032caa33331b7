"""Four programs count together, two of them are killed, and nothing hangs or is lost.

python examples/ipc/shared_counter.py
"""

import multiprocessing

from rookery import SharedArray

WORKERS, TIMES = 4, 20_000


def work(numbers, index):
    atomics = numbers.atomics
    for _ in range(TIMES):
        atomics.add(0, 1)  # the sum of all
        atomics.add(index, 1)
        atomics.notify(index)


def main():
    # "spawn": new interpreters; the array goes to them by pickle. With "fork" they would have it already.
    context = multiprocessing.get_context("spawn")
    with SharedArray("int64", 1 + WORKERS) as numbers:
        workers = [context.Process(target=work, args=(numbers, index)) for index in range(1, WORKERS + 1)]
        for worker in workers:
            worker.start()
        for index in (1, 2):
            while (seen := numbers.atomics.load(index)) < TIMES // 10:
                numbers.atomics.wait(index, seen)
            workers[index - 1].kill()
        for worker in workers:
            worker.join()
        for index in (3, 4):
            assert numbers[index] == TIMES
        own = sum(numbers[1:])
        # Who was killed may have added to the sum without adding to its own element: one each.
        assert own <= numbers[0] <= own + 2, numbers.tolist()
        print(f"the sum is {numbers[0]}, as it should be")


if __name__ == "__main__":
    main()
