import fcntl
import os
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.logs import intake as intake_module
from rookery.logs.intake import CHUNK, Intake, Scratch
from rookery.logs.maker import Format, Maker
from rookery.logs.rules import Rules
from rookery.logs.source import Source
from rookery.logs.units import GATHER, LINE_PATIENCE, TURN, Units
from rookery.logs.watch import EdgeWatch, LevelWatch
from rookery.logs.writer import EMPTY, LogFile

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
def make_source(make_pipe, make_log, scratch):
    made = []

    def make(log, *, form=None, combined=None, key=None):
        ours, app = make_pipe()
        log.users += 1
        maker = Maker(form) if form else None
        key = key or f"{len(made)}/1/out"
        made.append(Source(key, ours, log, scratch=scratch, combined=combined, maker=maker))
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
    source.check_end()
    assert not source.ended


def test_it_does_not_wait_for_what_another_reader_has_taken(make_log, make_source, way, monkeypatch):
    source, _ = make_source(make_log())
    monkeypatch.setattr(Intake, "pending", lambda _: 100)
    assert source.pump(LIMIT) == 0
    assert not source.ended


def test_nor_where_the_pipe_cannot_be_opened_a_second_time(make_log, make_source, monkeypatch):
    real = os.open
    log = make_log()
    monkeypatch.setattr(intake_module.os, "open", lambda p, *a: _refuse(p) if "/proc" in str(p) else real(p, *a))
    source, _ = make_source(log)
    assert log.splice(source.fd, 100) == EMPTY


@pytest.mark.parametrize("proc", [True, False])
def test_the_apps_end_stays_blocking(make_log, make_source, monkeypatch, proc, path):
    if not proc:
        real = os.open
        monkeypatch.setattr(intake_module.os, "open", lambda p, *a: _refuse(p) if "/proc" in str(p) else real(p, *a))
    source, app = make_source(make_log())
    os.write(app, b"a\n")
    source.pump(LIMIT)
    source.pump(LIMIT)
    source.check_end()
    assert not fcntl.fcntl(app, fcntl.F_GETFL) & os.O_NONBLOCK
    assert not source.ended
    assert read(path) == b"a\n"


def _refuse(path):
    raise PermissionError(path)


def test_an_app_that_made_its_end_non_blocking_is_fine(make_log, make_source, path):
    source, app = make_source(make_log())
    os.set_blocking(app, False)
    source.pump(LIMIT)
    os.write(app, b"a\n")
    source.pump(LIMIT)
    assert read(path) == b"a\n"


def test_the_end_of_a_plain_pipe_is_seen(make_log, path, scratch):
    reading, writing = os.pipe()
    source = Source("1/1/out", reading, make_log(), scratch=scratch)
    os.write(writing, b"last")
    os.close(writing)
    assert source.pump(LIMIT) == 4
    source.check_end()
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
    old, app_old = make_source(log, key="1/1/out")
    os.write(app_old, b"last words")
    old.finish(LIMIT)
    log.users -= 1
    new, app_new = make_source(log, key="1/2/out")
    os.write(app_new, b"hello\n")
    new.pump(LIMIT)
    assert read(path) == b"last words\nhello\n"


class TestAfterADeath:
    """A new LogFile on the same path stands for a new collector."""

    def test_the_rest_of_a_line_of_a_shared_file_comes_first(self, make_log, make_source, path):
        log = make_log()
        (one, app_one), _ = make_source(log, key="1/1/out"), make_source(log, key="2/1/out")
        os.write(app_one, b"x" * CHUNK)  # too long to wait for
        one.pump(LIMIT)
        again = make_log()
        two, app_two = make_source(again, key="2/1/out")
        os.write(app_two, b"two\n")
        assert two.pump(LIMIT) == 0
        assert two.waits_for == "line"
        one, app_one = make_source(again, key="1/1/out")
        os.write(app_one, b" end\n")
        assert one.pump(LIMIT)
        assert two.pump(LIMIT)
        assert read(path) == b"x" * CHUNK + b" end\ntwo\n"

    def test_the_next_copy_of_the_app_does_not_go_on_with_a_line(self, make_log, make_source, path):
        old, app = make_source(make_log(), key="1/1/out")
        os.write(app, b"half")
        old.pump(LIMIT)
        new, app = make_source(make_log(), key="1/2/out")
        os.write(app, b"hello\n")
        new.pump(LIMIT)
        assert read(path) == b"half\nhello\n"

    def test_the_same_copy_does(self, make_log, make_source, path):
        old, app = make_source(make_log(), key="1/1/out")
        os.write(app, b"ha")
        old.pump(LIMIT)
        new, app = make_source(make_log(), key="1/1/out")
        os.write(app, b"lf\n")
        new.pump(LIMIT)
        assert read(path) == b"half\n"

    def test_a_torn_stamped_line_is_ended_and_repeated(self, make_log, make_source, path):
        log = make_log()
        log.claim("1/1/out")
        log.write(b"2026-01-01 to")  # killed in the middle of a write
        source, app = make_source(make_log(), key="1/1/out", form=Format(prefix="p | "))
        os.write(app, b"torn line\n")
        source.pump(LIMIT)
        assert read(path) == b"2026-01-01 to\np | torn line\n"


def test_nothing_is_taken_before_it_is_written(make_log, make_source, path, scratch, disk):
    log = make_log(blocks=True)
    source, app = make_source(log, form=Format(prefix="p | "))
    disk.left = 3
    os.write(app, b"one\ntwo\n")
    assert source.pump(LIMIT) == 0
    assert source.waits_for == "disk"
    assert source.intake.pending() == 8
    disk.left = None
    log.retry(force=True)
    assert source.pump(LIMIT) == 8
    assert source.intake.pending() == 0
    assert read(path) == b"p | one\np | two\n"


FORMATS = {
    "raw": None,
    "stamped": Format(timestamps="%S"),
    "prefix": Format(prefix="web:0 | "),
    "json": Format(json=True, app="web", instance=0, stream="out", timestamps="%S"),
}
DATA = st.lists(st.sampled_from([b"\n", b"a\n", b"bc", b"\xc3\xa9", b"\xff", b'"\\', b"\r\n", b"x" * 9000]))


def files_of(folder, parts, form, *, combined, shared, max_size):
    """What a source makes of output that comes in these writes: contents by name."""
    rules = Rules(max_size, 999)
    log = LogFile(os.path.join(folder, "web.log"), rules, clock=lambda: 0.0, wall=lambda: 0.0)
    log.users = 2 if shared else 1
    beside = None
    if combined:
        beside = LogFile(os.path.join(folder, "all.log"), rules, clock=lambda: 0.0, wall=lambda: 0.0)
    fifo = os.path.join(folder, "fifo")
    os.mkfifo(fifo)
    app = os.open(fifo, os.O_RDWR)
    scratch = Scratch()
    maker = Maker(form, clock=lambda: 0.0) if form else None
    source = Source("1/1/out", os.dup(app), log, scratch=scratch, combined=beside, maker=maker)
    try:
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[os.write(app, view[:4096]) :]
                source.pump(LIMIT)
        source.finish(LIMIT)
    finally:
        source.close()
        os.close(app)
        scratch.close()
        log.close()
        if beside:
            beside.close()
    names = [name for name in os.listdir(folder) if name != "fifo" and not name.endswith(".idx")]
    return {name: read(os.path.join(folder, name)) for name in names}


@pytest.mark.parametrize("mode", FORMATS)
@given(
    data=DATA,
    cuts=st.lists(st.integers(1, 40), max_size=30),
    combined=st.booleans(),
    shared=st.booleans(),
    max_size=st.sampled_from([0, 50, 20_000]),
)
@settings(deadline=None, max_examples=40)
def test_any_split_of_the_output_gives_the_same_files(mode, data, cuts, combined, shared, max_size):
    whole = b"".join(data)
    parts, start = [], 0
    for cut in cuts:
        parts.append(whole[start : start + cut])
        start += cut
    parts.append(whole[start:])
    options = {"combined": combined, "shared": shared, "max_size": max_size}
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        split = files_of(one, parts, FORMATS[mode], **options)
        at_once = files_of(two, [whole], FORMATS[mode], **options)
    assert split == at_once


class TestLongLines:
    """Two sources of one file under Units, which waits for the end of a line that is too long to be held."""

    @pytest.fixture(params=[EdgeWatch, LevelWatch])
    def units(self, request, make_pipe, path, clock, monkeypatch):
        if request.param is LevelWatch:  # goes with a system that cannot look into a pipe
            monkeypatch.setattr("rookery.logs.intake.tee_call", lambda: None)
        self.watch = request.param()
        self.clock = clock
        units = Units(self.watch, clock=clock)
        self.apps = {}
        for unit in ("1", "2"):
            ours, self.apps[unit] = make_pipe()
            stream = {"path": path, "max_size": 0, "keep": 1}
            units.open({"unit": unit, "generation": 1, "order": ["out"], "streams": {"out": stream}}, [ours])
        yield units
        units.shut()
        self.watch.close()

    def turn(self, units):
        self.clock.now += GATHER
        for source in self.watch.poll(0, with_sources=True):
            units.on_event(source)
        units.tick()

    def begin_long_line(self, units):
        for _ in range(3):
            os.write(self.apps["1"], b"x" * (CHUNK - 1))
            self.turn(units)

    def test_others_wait_without_spinning_until_it_ends(self, units, path):
        self.begin_long_line(units)
        os.write(self.apps["2"], b"two\n")
        self.turn(units)
        assert self.watch.poll(0, with_sources=True) == []
        assert 0 < units.timeout() <= LINE_PATIENCE
        os.write(self.apps["1"], b"\none\n")
        self.turn(units)
        assert read(path) == b"x" * 3 * (CHUNK - 1) + b"\none\ntwo\n"
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
        assert read(path) == b"x" * 3 * (CHUNK - 1) + b"\ntwo\n"

    def test_a_flush_does_not_wait(self, units, path):
        self.begin_long_line(units)
        os.write(self.apps["2"], b"two")
        self.turn(units)
        offsets = units.flush({"unit": "2", "generation": 1})["offsets"]
        assert read(path).endswith(b"x\ntwo")
        size = os.path.getsize(path)
        assert offsets == {"out": [path, size, size - 3]}
        os.write(self.apps["2"], b" is read again\n")
        self.turn(units)
        assert read(path).endswith(b"x\ntwo is read again\n")

    def test_nobody_spins_until_the_next_round_over_an_unfinished_line(self, units, clock):
        os.write(self.apps["1"], b"x\nhalf")
        os.write(self.apps["2"], b"half")
        self.turn(units)
        clock.now += GATHER / 4
        units.tick()
        assert units.timeout() > 0

    def test_one_source_has_only_its_turn(self, units, path):
        fcntl.fcntl(self.apps["1"], 1031, 1 << 20)  # F_SETPIPE_SZ
        os.write(self.apps["1"], b"line\n" * 200_000)
        os.write(self.apps["2"], b"two\n")
        self.turn(units)
        data = read(path)
        assert data.endswith(b"two\n")
        assert TURN // 2 < len(data) <= TURN + 2 * CHUNK
        assert units.timeout() == 0  # and goes on at once

    def test_many_small_writes_make_one_round(self, units, path, clock):
        os.write(self.apps["1"], b"1\n")
        self.turn(units)
        for _ in range(3):
            os.write(self.apps["2"], b"2\n")
            for source in self.watch.poll(0, with_sources=not units.is_gathering):
                units.on_event(source)
            units.tick()
        assert read(path) == b"1\n"
        assert 0 < units.timeout() <= GATHER
        clock.now += GATHER
        units.tick()
        assert read(path) == b"1\n" + b"2\n" * 3
