"""Whether the lines that an app wrote are in its log files: each once, whole, whatever stands before or after it."""

import gzip
import os
import re
from typing import NamedTuple

_MESSAGE = rb"(?<!\d)(\d{12}) x{86}(?!x)"
MESSAGE = re.compile(_MESSAGE)
RECORD = re.compile(_MESSAGE + rb"[^\n]*\n")
BLOCK = 8 * 1024 * 1024


class Tally(NamedTuple):
    """lost: not there as a whole line; damaged: lines of the file that are no whole line of the app's."""

    present: int
    lost: int
    damaged: int
    doubled: int

    @property
    def is_perfect(self):
        return not (self.lost or self.damaged or self.doubled)


class Expected:
    """What app.c writes as the lines from 0."""

    def __init__(self, lines):
        self._lines = lines
        self._digits = b"".join([b"%012d" % number for number in range(lines)])

    def check(self, paths):
        """Compare with the files, the oldest first."""
        seen = bytearray(self._lines)
        damaged = doubled = following = 0
        for block in _blocks(paths):
            numbers = RECORD.findall(block)
            until = following + len(numbers)
            in_order = b"".join(numbers) == self._digits[following * 12 : until * 12]
            if in_order and len(numbers) == block.count(b"\n") and not any(seen[following:until]):
                seen[following:until] = b"\1" * len(numbers)
                following = until
                continue
            for line in block.splitlines(keepends=True):
                number = _number(line, self._lines)
                if number is None:
                    damaged += 1
                elif seen[number]:
                    doubled += 1
                else:
                    seen[number] = 1
                    following = number + 1
        present = sum(seen)
        return Tally(present, self._lines - present, damaged, doubled)


def chain(path):
    """A log file and its rotated ones (.1, .2 or .2.gz ...), the oldest first."""
    folder, name = os.path.split(path)
    found = []
    for entry in os.listdir(folder):
        match = re.fullmatch(re.escape(name) + r"(?:\.(\d+))?(?:\.gz)?", entry)
        if match:
            found.append((int(match[1] or 0), os.path.join(folder, entry)))
    return [path for _, path in sorted(found, reverse=True)]


def ends_with(path, number):
    """Whether the last line of the file is that of this number."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 512))
            return b"%012d " % number in file.read().rsplit(b"\n", 2)[-2:][0]
    except FileNotFoundError:  # it is being rotated
        return False


def _number(line, lines):
    found = MESSAGE.findall(line)
    number = int(found[0]) if len(found) == 1 else lines
    return number if number < lines else None


def _blocks(paths):
    """The files as one text, in blocks of whole lines."""
    rest = b""
    for path in paths:
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
            while data := file.read(BLOCK):
                data = rest + data
                cut = data.rfind(b"\n") + 1
                rest = data[cut:]
                if cut:
                    yield data[:cut]
    if rest:
        yield rest + b"\n"
