"""A worker that crashes now and then, as workers do."""

import random
import time

job = 0
while True:
    job += 1
    print(f"job {job} done")
    time.sleep(0.4)
    if job > 4 and random.random() < 0.25:
        raise RuntimeError(f"job {job + 1} was too much")
