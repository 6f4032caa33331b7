import fcntl
import os
import selectors

import pytest

from rookery.logs import source as source_module
from rookery.logs.source import HOLD, Source
from rookery.logs.units import LINE_PATIENCE, TURN, Units

LIMIT = 1 << 20


@pytest.fixture
def make_pipe(tmp_path):
    """A FIFO opened for reading and writing, as the manager makes it: (our fd, the app's fd)."""
    fds = []

    def make():
        name = tmp_path / f"fifo{len(fds)}"
        os.mkfifo(name)
        fds.append(os.open(name, os.O_RDWR))
        return os.dup(fds[-1]), fds[-1]

    yield make
    for fd in fds:
        os.close(fd)


@pytest.fixture
def make_source(make_pipe, make_log):
    made = []

    def make(log, *, timestamps=False):
        ours, app = make_pipe()
        log.users += 1
        made.append(Source(ours, log, timestamps=timestamps))
        return made[-1], app

    yield make
    for source in made:
        source.close()


def read(path):
    with open(path, "rb") as file:
        return file.read()


@pytest.fixture(params=["splice", "read"])
def way(request, monkeypatch):
    if request.param == "read":
        monkeypatch.setattr("rookery.logs.writer._splice", None)


def test_bytes_go_through_as_they_are(make_log, make_source, path, way):
    source, app = make_source(make_log())
    os.write(app, b"\x00\xff no newline")
    source.pump(LIMIT)
    assert read(path) == b"\x00\xff no newline"


def test_it_never_waits(make_log, make_source, way):
    source, _ = make_source(make_log())
    assert source.pump(LIMIT) == 0
    source.on_event(LIMIT)
    assert not source.ended


def test_it_does_not_wait_for_what_another_reader_has_taken(make_log, make_source, way, monkeypatch):
    source, _ = make_source(make_log())
    monkeypatch.setattr(Source, "pending", lambda _: 100)
    assert source.pump(LIMIT) == 0
    assert not source.ended


def test_nor_where_the_pipe_cannot_be_opened_a_second_time(make_log, make_source, monkeypatch):
    real = os.open
    log = make_log()
    monkeypatch.setattr(source_module.os, "open", lambda p, *a: _refuse(p) if "/proc" in str(p) else real(p, *a))
    source, _ = make_source(log)
    assert log.splice(source.fd, 100) == 0


@pytest.mark.parametrize("proc", [True, False])
def test_the_apps_end_stays_blocking(make_log, make_source, monkeypatch, proc, path):
    if not proc:
        real = os.open
        monkeypatch.setattr(source_module.os, "open", lambda p, *a: _refuse(p) if "/proc" in str(p) else real(p, *a))
    source, app = make_source(make_log())
    os.write(app, b"a\n")
    source.on_event(LIMIT)
    source.on_event(LIMIT)
    assert not fcntl.fcntl(app, fcntl.F_GETFL) & os.O_NONBLOCK
    assert not source.ended
    assert read(path) == b"a\n"


def _refuse(path):
    raise PermissionError(path)


def test_an_app_that_made_its_end_non_blocking_is_fine(make_log, make_source, path):
    source, app = make_source(make_log())
    os.set_blocking(app, False)
    source.on_event(LIMIT)
    os.write(app, b"a\n")
    source.on_event(LIMIT)
    assert read(path) == b"a\n"


def test_the_end_of_a_plain_pipe_is_seen(make_log, path):
    reading, writing = os.pipe()
    source = Source(reading, make_log(), timestamps=False)
    os.write(writing, b"last")
    os.close(writing)
    source.on_event(LIMIT)
    assert not source.ended
    source.on_event(LIMIT)
    assert source.ended
    source.close()
    assert read(path) == b"last"


def test_after_a_splice_the_end_of_the_file_is_looked_at(make_log, make_source, way):
    log = make_log()
    source, app = make_source(log)
    for data, mid_line in ((b"a\n", False), (b"half", True), (b" and whole\n", False)):
        os.write(app, data)
        source.pump(LIMIT)
        assert log.mid_line is mid_line


def test_splice_and_rotation_end_files_at_newlines(make_log, make_source, path, way):
    source, app = make_source(make_log(max_size=1000))
    sent = b"".join(b"line %d\n" % n for n in range(400))
    for start in range(0, len(sent), 333):
        os.write(app, sent[start : start + 333])
        source.pump(LIMIT)
    files = [read(path)]
    number = 1
    while os.path.exists(f"{path}.{number}"):
        files.insert(0, read(f"{path}.{number}"))
        number += 1
    assert b"".join(files) == sent
    assert len(files) > 3
    assert all(content.endswith(b"\n") and content.rfind(b"\n", 0, -1) < 1000 for content in files[:-1])


def test_shared_file_gets_whole_lines(make_log, make_source, path):
    log = make_log()
    (one, app_one), (two, app_two) = make_source(log), make_source(log)
    os.write(app_one, b"1a\n1b, begun")
    one.pump(LIMIT)
    os.write(app_two, b"2a\n")
    two.pump(LIMIT)
    os.write(app_one, b" and ended\n")
    one.pump(LIMIT)
    assert read(path) == b"1a\n2a\n1b, begun and ended\n"


def test_what_is_held_back_is_written_when_the_source_ends(make_log, make_source, path):
    log = make_log()
    (one, app_one), (two, app_two) = make_source(log), make_source(log)
    os.write(app_one, b"no newline")
    one.pump(LIMIT)
    assert read(path) == b""
    one.finish(LIMIT)
    assert read(path) == b"no newline"
    os.write(app_two, b"2\n")
    two.pump(LIMIT)
    assert read(path) == b"no newline\n2\n"


def test_a_restarted_app_begins_on_a_new_line(make_log, make_source, path):
    log = make_log()
    old, app_old = make_source(log)
    os.write(app_old, b"last words")
    old.finish(LIMIT)
    log.users -= 1
    new, app_new = make_source(log)
    os.write(app_new, b"hello\n")
    new.pump(LIMIT)
    assert read(path) == b"last words\nhello\n"


def test_stamped_lines_are_stamped_once_however_they_arrive(make_log, make_source, path):
    source, app = make_source(make_log(), timestamps=True)
    for part in (b"a", b"b\nc", b"\n", b"\n", b"d\n"):
        os.write(app, part)
        source.pump(LIMIT)
    lines = read(path).split(b"\n")
    assert [line[30:] for line in lines] == [b"ab", b"c", b"", b"d", b""]
    assert all(line[10:11] == b"T" for line in lines[:-1])


class TestLongLines:
    """Two sources of one file under Units, which waits for the end of a line that is too long to be held."""

    @pytest.fixture
    def units(self, make_pipe, path, clock):
        selector = selectors.DefaultSelector()
        units = Units(selector, clock=clock)
        self.selector = selector
        self.apps = {}
        for unit in ("1", "2"):
            ours, self.apps[unit] = make_pipe()
            stream = {"path": path, "max_size": 0, "keep": 1}
            units.open({"unit": unit, "generation": 1, "order": ["out"], "streams": {"out": stream}}, [ours])
        yield units
        units.shut()
        selector.close()

    def turn(self, units):
        for key, _ in self.selector.select(0):
            units.on_event(key.data)
        units.tick()

    def begin_long_line(self, units):
        for _ in range(3):
            os.write(self.apps["1"], b"x" * (HOLD - 1))
            self.turn(units)

    def test_others_wait_without_spinning_until_it_ends(self, units, path):
        self.begin_long_line(units)
        os.write(self.apps["2"], b"two\n")
        self.turn(units)
        assert self.selector.select(0) == []
        assert 0 < units.timeout() <= LINE_PATIENCE
        os.write(self.apps["1"], b"\none\n")
        self.turn(units)
        assert read(path) == b"x" * 3 * (HOLD - 1) + b"\none\ntwo\n"
        assert units.timeout() is None
        os.write(self.apps["2"], b"two again\n")
        self.turn(units)
        assert read(path).endswith(b"two again\n")

    def test_but_not_for_ever(self, units, path, clock):
        self.begin_long_line(units)
        os.write(self.apps["2"], b"two\n")
        self.turn(units)
        clock.now += LINE_PATIENCE
        self.turn(units)
        assert read(path) == b"x" * 3 * (HOLD - 1) + b"\ntwo\n"

    def test_a_flush_does_not_wait(self, units, path):
        self.begin_long_line(units)
        os.write(self.apps["2"], b"two")
        self.turn(units)
        offsets = units.flush({"unit": "2", "generation": 1})["offsets"]
        assert read(path).endswith(b"x\ntwo")
        assert offsets == {"out": [path, os.path.getsize(path)]}
        os.write(self.apps["2"], b" is read again\n")
        self.turn(units)
        assert read(path).endswith(b"x\ntwo is read again\n")

    def test_one_source_has_only_its_turn(self, units, path):
        fcntl.fcntl(self.apps["1"], 1031, 1 << 20)  # F_SETPIPE_SZ
        os.write(self.apps["1"], b"line\n" * 200_000)
        os.write(self.apps["2"], b"two\n")
        self.turn(units)
        data = read(path)
        assert data.endswith(b"two\n")
        assert TURN // 2 < len(data) <= TURN + 4
