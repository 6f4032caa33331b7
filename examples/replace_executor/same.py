"""What works with ProcessPoolExecutor works the same."""

import concurrent.futures

from rookery import ProcessPool


def is_prime(number):
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def main():
    with ProcessPool() as pool:  # was: concurrent.futures.ProcessPoolExecutor()
        print(list(pool.map(is_prime, range(10), chunksize=4)))

        futures = {pool.submit(is_prime, number): number for number in (112272535095293, 115280095190773, 100)}
        found = {futures[future]: future.result() for future in concurrent.futures.as_completed(futures)}
        print(sorted(found.items()))

        future = pool.submit(divmod, 1, 0)
        try:
            future.result(timeout=10)
        except ZeroDivisionError as error:
            print(repr(error))


if __name__ == "__main__":
    main()
