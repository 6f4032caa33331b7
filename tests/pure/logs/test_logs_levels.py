import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.logs import levels
from rookery.logs.levels import LOOK, ORDER, level_of, levels_in, parse_level

TOLD = [
    # A word at the beginning.
    ("ERROR something", "error"),
    ("ERROR", "error"),
    ("ERROR:root:failed", "error"),
    ("WARNING: old", "warning"),
    ("Warning: old", "warning"),
    ("[error] no", "error"),
    ("[ERROR] no", "error"),
    ("(debug) x", "debug"),
    ("<info> x", "info"),
    ("debug: x", "debug"),
    ("info: Server started", "info"),
    ("Error: Cannot find module 'x'", "error"),
    ("fatal: not a git repository", "critical"),
    ("panic: runtime error: index out of range", "critical"),
    ("fatal error: all goroutines are asleep", "info"),
    ("error[E0382]: borrow of moved value", "error"),
    ("CRITICAL - disk", "critical"),
    ("notice: x", "info"),
    ("VRB x", "debug"),
    ("\x1b[31mERROR\x1b[0m x", "error"),
    ("\x1b[1m\x1b[33m[warn]\x1b[0m x", "warning"),
    ("[\x1b[33mwarn\x1b[39m] x", "warning"),
    ("\x1b[32minfo\x1b[39m: x", "info"),
    ("\x1b[31merror\x1b[39m: x", "error"),
    # After times, brackets, names and dashes.
    ("2026-01-01 12:00:00,123 ERROR name: x", "error"),
    ("2026-01-01 12:00:00,123 - my.app - WARNING - x", "warning"),
    ("2026-01-01T12:00:00.123Z  WARN x", "warning"),
    ("12:00:00.123 [main] ERROR com.example.App - x", "error"),
    ("[main] DEBUG com.example.App - x", "debug"),
    ("[2026-01-01 12:00:00 +0000] [123] [CRITICAL] WORKER TIMEOUT", "critical"),
    ("[2026-01-01 12:00:00,123: WARNING/MainProcess] x", "warning"),
    ("2026/01/01 12:00:00 [warn] 123#0: x", "warning"),
    ("2026-01-01 12:00:00.123 | ERROR    | mod:fn:1 - x", "error"),
    ("2026-01-01 12:00:00.123 UTC [123] FATAL:  x", "critical"),
    ("2026-01-01 12:00:00.123 UTC [123] LOG:  x", "info"),
    ("[2026-01-01T00:00:00Z WARN  my_crate] x", "warning"),
    ("[Nest] 123  - 01/01/2026, 12:00:00 PM   ERROR [Ctx] x", "error"),
    ("[Mon Jan 01 12:00:00.000 2026] [core:error] [pid 1] x", "error"),
    ("E, [2026-01-01T12:00:00.1 #1] ERROR -- : x", "error"),
    ("[01-Jan-2026 12:00:00 UTC] PHP Warning:  x", "warning"),
    ("PHP Fatal error:  x", "error"),
    ("=ERROR REPORT==== 1-Jan-2026", "error"),
    ("3:04PM WRN x", "warning"),
    ("(node:12) [DEP0005] DeprecationWarning: x", "warning"),
    ("/app/x.py:12: UserWarning: x", "warning"),
    ("main.c:3:5: warning: unused variable", "warning"),
    ("2026-07-01T12:00:00.250+02:00 web:0 | ERROR x", "error"),
    ("web:0 | error: x", "error"),
    # Other signs.
    ("I0102 15:04:05.000 1 x.go:1] hi", "info"),
    ("W0102 15:04:05.000 1 x.go:1] hi", "warning"),
    ("E0102 15:04:05.000 1 x.go:1] hi", "error"),
    ("F0102 15:04:05.000 1 x.go:1] hi", "critical"),
    ("npm ERR! code ENOENT", "error"),
    ("npm WARN deprecated", "warning"),
    ("npm error code 1", "error"),
    ("npm install done", "info"),
    ("<3>x", "error"),
    ("<4>x", "warning"),
    ("<30>x", "info"),
    ("<0>x", "critical"),
    ("Traceback (most recent call last):", "error"),
    ("ValueError: bad", "error"),
    ("json.decoder.JSONDecodeError: Expecting value", "error"),
    ("AssertionError", "error"),
    ("TypeError: x is not a function", "error"),
    ("DeprecationWarning: x", "warning"),
    ("java.lang.IllegalStateException: x", "error"),
    ('Exception in thread "main" x', "error"),
    ("Caused by: x", "error"),
    ("thread 'main' panicked at src/main.rs:2:5:", "error"),
    # JSON.
    ('{"level":"warn","msg":"x"}', "warning"),
    ('{"level":30,"msg":"error"}', "info"),
    ('{"level":50,"msg":"x"}', "error"),
    ('{"level": "60"}', "critical"),
    ('{"level":10}', "trace"),
    ('{"level":35}', "info"),
    ('{"short_message":"x","level":3}', "error"),
    ('{"event":"x","severity":"ERROR"}', "error"),
    ('{"lvl" : "debug" , "a":1}', "debug"),
    ('{"log.level":"fatal"}', "critical"),
    ('{"@level":"trace"}', "trace"),
    ('{"log":{"level":"error"},"x":1}', "error"),
    ('{"user":{"level":40},"level":"debug"}', "debug"),
    ('{"user":{"level":"expert"},"level":"debug"}', "debug"),
    ('{"msg":"say \\"level\\":\\"error\\""}', "info"),
    ('{"user":{"level":40},"level":"debug","cut": "o', "warning"),
    ('{"a":1}', "info"),
    ("{broken", "info"),
    # logfmt.
    ('time="2026" level=warn msg="x"', "warning"),
    ("level=error msg=x", "error"),
    ('ts=2026 caller=x.go:1 lvl="dbg" msg=x', "debug"),
    ("2026/01/01 12:00:00 level=fatal x", "critical"),
    ("severity=40 a=b", "warning"),
    ("a=b c=d", "info"),
    ("level=unheard", "info"),
    # What is none.
    ("terror", "info"),
    ("terror: x", "info"),
    ("no errors found", "info"),
    ("there was an error: x", "info"),
    ("Everything is fine, no ERROR at all", "info"),
    ("Errors: 0", "info"),
    ("error handler installed", "info"),
    ("warning signs", "info"),
    ("debug mode on", "info"),
    ("DEBUG=true", "info"),
    ("ERRORS", "info"),
    ("ERROR_COUNT 0", "info"),
    ("INFORMIX", "info"),
    ("GET /error 200", "info"),
    ('127.0.0.1 - - [10/Oct/2026:13:55:36 +0000] "GET /error HTTP/1.1" 200', "info"),
    ("12 warnings", "info"),
    ("log: x", "info"),
    ("fine: x", "info"),
    ("NoErrors", "info"),
    ("https://error:80/", "info"),
    ("\xff\xfe ERROR", "info"),
]


@pytest.mark.parametrize(("line", "level"), TOLD)
def test_what_a_line_tells(line, level):
    data = line.encode()
    assert level_of(data, "out") == level
    assert level_of(data + b"\n", "out") == level
    assert level_of(data + b"\r\n", "out") == level


@pytest.mark.parametrize("line", ["hello", "", "  indented", "no errors found"])
def test_a_line_that_tells_nothing_is_judged_by_its_stream(line):
    assert level_of(line.encode(), "out") == "info"
    assert level_of(line.encode(), "err") == "error"
    assert level_of(b"INFO x", "err") == "info"


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("    at foo (bar.js:1)", "warning"),
        ("\tat com.example.App", "warning"),
        ("  ERROR in a body", "warning"),
        ("", "warning"),
        ("\n", "warning"),
        ("\r\n", "warning"),
        ("}", "warning"),
        ("  + Exception Group Traceback (most recent call last):", "error"),
        ("  | Traceback (most recent call last):", "error"),
        ("2026-07-01T12:00:00.250+02:00     at foo", "warning"),
        ("2026-07-01T12:00:00.250+02:00 web:0 |   at foo", "warning"),
        ("2026-07-01 12:00 +02:00 }", "warning"),
        ("web:0 | \tat foo", "warning"),
        ("web:0 | ", "warning"),
        ("2026-07-01T12:00:00.250+02:00 new", "info"),
        ("2026-07-01T12:00:00.250+02:00 web:0 | new", "info"),
        ("2026-07-01T12:00:00.250+02:00   INFO new", "info"),
        (" INFO tracing: x", "info"),
        ("new line", "info"),
    ],
)
def test_a_line_that_goes_on_has_the_level_of_the_one_before(line, level):
    assert level_of(line.encode(), "out", "warning") == level


PARTS = st.sampled_from(
    [line.encode("utf-8", "surrogateescape") for line, _ in TOLD] + [b"  at x", b"}", b"", b"plain"]
)


WORDS = st.sampled_from(
    [word + end for word in ("error", "Error", "ERROR", "INFO", "WARN", "debug", "fatal") for end in ("", ":", " ")]
    + [*("Jan ", "UTC ", "npm ", "Caused by: ", "Exception in thread ", "The above exception was ", "word ", "Word ")]
    + [*("2026-07-01 ", "12:00:00,123 ", "12 ", "1", "[", "] ", "- ", "| ", ": ", " ", "level=", "time=1 ", '"', "=")]
    + ["127.0.0.1 - - [01/Jul/2026:10:00:00 +0000] ", '"GET / ', "abc\n", "app.py:3: ", "D, "]
).map(str.encode)  # fmt: skip
MIXED = st.lists(WORDS, max_size=6).map(b"".join)


@given(st.lists(st.one_of(PARTS, MIXED, st.binary(max_size=30)), max_size=12), st.booleans())
@pytest.mark.parametrize("stream", ["out", "err"])
@pytest.mark.parametrize("before", [None, "info", "error", "debug"])
def test_a_block_has_the_levels_of_its_lines(stream, before, parts, has_end):
    block = b"\n".join(parts) + (b"\n" if has_end else b"")
    changes = dict(levels_in(block, stream, before))
    level, at, shown = before, 0, None
    while at < len(block):
        end = block.find(b"\n", at) + 1 or len(block)
        level = level_of(block[at:end], stream, level)
        shown = changes.pop(at, shown)
        assert shown == level, block[at:end]
        at = end
    assert not changes


@pytest.mark.parametrize(
    ("stream", "line"),
    [
        *(("out", b"00000001 xxxxxxxxxxxxxxxxxxxxxxxxx"), ("err", b"Listening on port 8000")),
        *(("out", b"2026-07-01 12:00:00,123 INFO app: done"), ("out", b"2026-07-01 12:00:00,123 DEBUG app: done")),
        *(("err", b"ERROR: no"), ("out", b'127.0.0.1 - - [01/Jul/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5')),
        *(("out", b"time=2026-07-01T12:00:00Z level=info msg=ready"), ("out", b"WARNING slow\n  at x\n  at y")),
    ],
)
def test_lines_of_one_level_are_passed_over_together(stream, line, monkeypatch):
    looked = []
    monkeypatch.setattr(levels, "level_of", lambda *args: looked.append(args) or level_of(*args))
    block = (line + b"\n") * 50
    assert levels_in(block, stream) == [(0, level_of(line, stream))]
    assert len(looked) <= 1
    assert looked == [] or level_of(line, stream) != levels.default_of(stream)


@pytest.mark.parametrize(
    "line",
    [
        *(b"[" * 5000, b"[a] " * 2000, b"1 " * 4000, b"- " * 4000, b"(" * 5000, b'{"' * 3000, b"a" * 5000),
        *(b"1" * 5000, b"\x1b[1m" * 1500, b"a=" * 3000, b'{"level":' * 800, b"- a " * 2000),
    ],
)
def test_no_line_takes_long(line):
    start = time.process_time()
    for _ in range(50):
        level_of(line, "out")
        levels_in(line * 3, "err")
    assert time.process_time() - start < 5


def test_only_the_beginning_of_a_long_line_counts():
    far = json.dumps({"event": "x" * LOOK, "level": "error"}).encode()
    assert level_of(far, "out") == "info"


@pytest.mark.parametrize(
    ("text", "level"),
    [("warn", "warning"), ("ERR", "error"), (" Fatal ", "critical"), ("notice", "info"), ("verbose", "debug")]
    + [(name, name) for name in ORDER]
    + [("panic", "critical"), ("emerg", "critical"), ("crit", "critical")],
)
def test_the_level_that_a_user_means(text, level):
    assert parse_level(text) == level


@pytest.mark.parametrize(
    ("text", "said"), [("warnign", "did you mean 'warning'?"), ("xyz", "the levels are trace, "), ("", "the")]
)
def test_what_is_no_level_is_said_with_the_nearest(text, said):
    with pytest.raises(ValueError, match="there is no level") as caught:
        parse_level(text)
    assert said in str(caught.value)
