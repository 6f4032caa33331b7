"""A script whose own functions and classes go to another process; prints what came of it as one line of JSON."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from dataclasses import dataclass

from rookery.pool.values.functions import FunctionBook
from rookery.pool.values.pickling import decode, decode_error, encode, encode_whole

WORKER = """if True:
    import pickle, sys
    from rookery.pool.values.functions import Functions
    from rookery.pool.values.pickling import decode, encode_error, encode_whole
    functions = Functions(lambda: False)
    source, out = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            number, pickled, payload = pickle.load(source)
        except EOFError:
            break
        try:
            function = functions.get(number, pickled)
            args, kwargs = decode(payload)
            answer = True, encode_whole(function(*args, **kwargs))
        except BaseException as error:
            answer = False, encode_error(error)
        pickle.dump(answer, out)
        out.flush()
"""

model = None
step = 1
table = {"a": 1}


def begin():
    global model  # noqa: PLW0603
    model = "loaded"


def use():
    return model


def stepped(value):
    return value + step


def looked_up():
    return table["a"]


@functools.lru_cache
def cached(value):
    return stepped(value)


@dataclass
class Point:
    x: int

    def moved(self):
        return Point(self.x + step)


class Trouble(Exception):
    def __init__(self, what, code):
        super().__init__(what)
        self.code = code


def fails():
    raise Trouble("in trouble", 7)


class Worker:
    def __init__(self):
        self.process = subprocess.Popen([sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.book = FunctionBook()
        self.known = set()

    def call(self, function, *args):
        import pickle

        number, pickled = self.book.number_of(function)
        pickle.dump((number, None if number in self.known else pickled, encode_whole((args, {}))), self.process.stdin)
        self.process.stdin.flush()
        self.known.add(number)
        went_well, answer = pickle.load(self.process.stdout)
        if not went_well:
            raise decode_error(answer)
        return decode(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def main():
    global step  # noqa: PLW0603
    worker = Worker()
    call = worker.call
    methods = dict(vars(Point))
    found = {}
    call(begin)
    found["initializer"] = call(use)
    found["steps"] = [call(stepped, 1)]
    step = 10
    found["steps"].append(call(stepped, 1))
    found["table"] = [call(looked_up)]
    table["a"] = 2
    found["table"].append(call(looked_up))
    found["cached"] = call(cached, 1)
    moved = call(Point.moved, Point(1))
    found["point"] = type(moved) is Point and moved.x
    found["method"] = call(Point(5).moved).x
    found["methods are ours"] = all(vars(Point)[name] is one for name, one in methods.items())
    found["class"] = call(Point, 3) == Point(3)
    found["lambda"] = call(lambda: [point.x for point in (Point(1), Point(2))])
    try:
        call(fails)
    except Trouble as error:
        found["trouble"] = [str(error), error.code, "in fails" in error.__cause__.text]
    found["large"] = len(encode(Point(1))[0]) < 5000
    worker.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
