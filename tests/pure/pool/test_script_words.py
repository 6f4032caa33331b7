"""What a script's messages mean."""

from __future__ import annotations

import pytest

from rookery.errors import TaskNotSent, UsageError
from rookery.pool.scripts.codec import Prepared, PreparedCodec
from rookery.pool.scripts.words import NOTHING, PlainWords, RookeryWords, Said, error_of

WORDS = RookeryWords()


@pytest.mark.parametrize(
    ("message", "means"),
    [
        ({"type": "ready"}, Said("ready")),
        ({"type": "ready", "pid": 7}, Said("ready")),
        ({"type": "result", "id": 1, "result": None}, Said("result", 1, None)),
        ({"type": "result", "id": 1}, Said("result", 1, None)),
        ({"type": "result", "id": 2.0, "result": 3}, Said("result", 2, 3)),
        ({"type": "progress", "id": 1, "value": 0}, Said("progress", 1, 0)),
        ({"type": "status", "id": 1, "rss": 5}, Said("status", 1, {"rss": 5})),
        ({"type": "result"}, NOTHING),
        ({"type": "result", "id": True}, NOTHING),
        ({"type": "result", "id": "1"}, NOTHING),
        ({"type": "result", "id": [1]}, NOTHING),
        ({"type": "result", "id": 1.5}, NOTHING),
        ({"type": "result", "id": float("nan")}, NOTHING),
        ({"type": "result", "id": None}, NOTHING),
        ({"type": ["result"], "id": 1}, NOTHING),
        ({"type": "unheard", "id": 1}, NOTHING),
        ({}, NOTHING),
        ([], NOTHING),
        ("ready", NOTHING),
        (None, NOTHING),
        (5, NOTHING),
    ],
    ids=str,
)
def test_what_a_message_means(message, means):
    assert WORDS.understood(message, 1) == means


@pytest.mark.parametrize(
    ("told", "kind", "text", "stack"),
    [
        ({"name": "E", "message": "m", "stack": "s"}, "E", "m", "s"),
        ({"name": None, "message": 5, "stack": {}}, "Error", "5", ""),
        ({}, "Error", "", ""),
        ("text", "Error", "text", ""),
        (None, "Error", "", ""),
        ([1], "Error", "[1]", ""),
    ],
)
def test_what_an_error_tells(told, kind, text, stack):
    error = error_of(told)
    assert (error.kind, error.text, error.traceback) == (kind, text, stack)


def test_an_error_s_text_is_bounded():
    assert len(error_of({"message": "x" * 1_000_000, "stack": "y" * 1_000_000}).traceback) < 70_000


def test_a_plain_message_is_the_answer_to_the_task_at_work():
    assert PlainWords().understood({"type": "ready"}, 4) == Said("result", 4, {"type": "ready"})
    assert PlainWords().understood("unasked", 0) == NOTHING
    assert PlainWords().task(4, "resize", {"a": 1}) == {"a": 1}


@pytest.mark.parametrize("name", ["node", "json-lines", "msgpack"])
def test_what_was_prepared_is_written_as_it_is(name):
    codec = PreparedCodec(name)
    message = {"type": "task", "id": 1, "name": "ü", "data": [1, None]}
    prepared = codec.prepare(message)
    assert type(prepared) is Prepared
    assert codec.encode(prepared) is prepared
    assert codec.encode(message) == bytes(prepared)
    found = []
    codec.decode_into([memoryview(prepared)], [], found)
    assert found == [message]
    with pytest.raises((UsageError, TaskNotSent)):
        codec.prepare({"data": object()})
