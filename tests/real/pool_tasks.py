"""What tasks of pool tests do: most of it is trouble. Imports little: each new worker does so anew."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import resource
import signal
import sys
import threading
import time


def me(*_):
    return os.getpid()


def mark(path, number):
    """Write down that this task was begun; its number."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, b"%d\n" % number)
    os.close(fd)
    return number


def marks(path):
    with open(path) as file:
        return [int(line) for line in file]


def nap(seconds=60.0, value=None):
    time.sleep(seconds)
    return value


def wait_for(path, value=None):
    """Until there is a file of that name."""
    while not os.path.exists(path):
        time.sleep(0.002)
    return value


def says_and_waits(path):
    """Writes its pid, and then does nothing for ever."""
    with open(f"{path}.part", "w") as file:
        file.write(str(os.getpid()))
    os.rename(f"{path}.part", path)
    while True:
        signal.pause()


class Trouble(Exception):
    pass


def die(how):
    """The rows of the table of faults."""
    faulthandler.disable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if how == "raise":
        raise Trouble("as told")
    if how.startswith("SystemExit"):
        raise SystemExit(int(how.split()[1]))
    if how == "KeyboardInterrupt":
        raise KeyboardInterrupt
    if how == "MemoryError":
        return bytearray(1 << 62)
    if how == "RecursionError":
        return die(how) + 1
    if how.startswith("_exit"):
        os._exit(int(how.split()[1]))
    if how == "segv":
        return ctypes.string_at(0)
    if how == "abort":
        os.abort()
    os.kill(os.getpid(), getattr(signal, how))
    return time.sleep(60)


class Crashes:
    """Does something bad when it is pickled or unpickled, in the process it is meant for."""

    def __init__(self, when, how):
        self.when, self.how = when, how
        self.home = os.getpid()

    def __reduce__(self):
        if self.when == "pickling" and os.getpid() != self.home:
            die(self.how)
        return _made_anew, (self.when, self.how, self.home)


def _made_anew(when, how, home):
    if when == "unpickling" or (when == "unpickling there" and os.getpid() != home):
        die(how)
    made = Crashes(when, how)
    made.home = home
    return made


def gives(when, how, home):
    made = Crashes(when, how)
    if when == "pickling":
        made.home = home
    return made


def gives_lambda():
    return threading.Lock()


def gives_trouble_for_the_parent(how):
    return OnlyThere(how, os.getpid())


class OnlyThere:
    """Cannot be unpickled anywhere but where it was made."""

    def __init__(self, how, home):
        self.how, self.home = how, home

    def __reduce__(self):
        return _only_there, (self.how, self.home)


def _only_there(how, home):
    if os.getpid() != home:
        if how == "exit":
            raise SystemExit(3)
        if how == "interrupt":
            raise KeyboardInterrupt
        raise Trouble(how)
    return OnlyThere(how, home)


# -- what stays -------------------------------------------------------------------------------------------------------

seen = []


def keeps(value):
    """A worker's own state: how often it was called there."""
    seen.append(value)
    return os.getpid(), len(seen)


def changes_surroundings(folder):
    os.chdir(folder)
    os.umask(0o123)
    os.environ["LEFT_BY_A_TASK"] = "yes"
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def surroundings():
    mask = os.umask(0)
    os.umask(mask)
    return (
        os.getcwd(),
        mask,
        os.environ.get("LEFT_BY_A_TASK"),
        signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN,
    )


def changes_its_argument(items):
    items.append(len(items))
    return items


def changes_it_where_it_can(item):
    return changes_its_argument(item) if isinstance(item, list) else item


def closes_all_descriptors():
    os.closerange(3, 4096)


def starts_a_thread(seconds):
    threading.Thread(target=time.sleep, args=(seconds,)).start()
    return os.getpid()


def holds_descriptors(count):
    """Leaves so many free, and keeps the others for ever."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    held = []
    while True:
        try:
            held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            break
    for fd in held[:count]:
        os.close(fd)
    seen.append(held[count:])


# -- processes of a task ----------------------------------------------------------------------------------------------


def forks(path, *, returns):
    """The copy of this worker returns as the worker does, or waits for ever."""
    pid = os.fork()
    if pid == 0:
        if returns:
            return -1
        says_and_waits(path)
    return pid


def forks_and_ends_it():
    """As multiprocessing does with its own: SIGTERM ends the copy."""
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    os.kill(pid, signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def starts_an_escaped_grandchild(path):
    code = f"import time; open({path!r} + '.part', 'w').write(str(__import__('os').getpid()));"
    code += f"__import__('os').rename({path!r} + '.part', {path!r}); time.sleep(600)"
    os.posix_spawn(sys.executable, [sys.executable, "-S", "-c", code], os.environ, setsid=True)
    return wait_for(path)


def starts_and_hangs(path):
    starts_an_escaped_grandchild(path)
    time.sleep(60)


# -- small and large --------------------------------------------------------------------------------------------------


def square(number):
    return number * number


def fails_at(number, bad):
    if number == bad:
        raise Trouble(number)
    return number


def filled(size, value):
    return bytes([value]) * size


def summary(data):
    return len(data), data[0], data[-1]


def eats(size, seconds):
    """Holds so much memory for so long."""
    block = bytearray(size)
    for place in range(0, size, 4096):
        block[place] = 1
    time.sleep(seconds)
    return len(block)


def fails_once(path):
    """Fails at its first try."""
    first = not os.path.exists(path)
    mark(path, os.getpid())
    if first:
        raise Trouble("the first time")
    return "the second time"


def dies_once(path, how):
    first = not os.path.exists(path)
    mark(path, os.getpid())
    if first:
        die(how)
    return "the second time"


def changes_what_it_got_and_dies_once(path, data):
    """data: large and writable; the next try is to see it as it was."""
    before = bytes(data[:4])
    memoryview(data)[:4] = b"\xff" * 4
    if not os.path.exists(path):
        mark(path, 0)
        os._exit(9)
    return before


def fails_to_begin(how, path=""):
    """An initializer."""
    if path:
        mark(path, os.getpid())
    if how == "hang":
        time.sleep(60)
    die(how)


def note(value):
    seen.append(value)


def noted():
    return seen


def die_at(number, bad):
    if number == bad:
        os.kill(os.getpid(), signal.SIGKILL)
    return number
