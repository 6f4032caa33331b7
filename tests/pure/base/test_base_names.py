import re
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery._base.ids import Cookie, new_scope, parse_cookie
from rookery._base.nearest import nearest
from rookery._base.signals import signal_name


def test_a_scope_is_eight_hexadecimal_digits_and_new_each_time():
    assert re.fullmatch("[0-9a-f]{8}", new_scope())
    assert new_scope() != new_scope()


@given(
    scope=st.text(st.characters(exclude_characters=":"), min_size=1),
    unit=st.text(st.characters(exclude_characters=":"), min_size=1),
    generation=st.integers(0, 10**17),
)
def test_a_cookie_survives_writing_and_reading(scope, unit, generation):
    cookie = Cookie(scope, unit, generation)
    assert parse_cookie(str(cookie)) == cookie


@pytest.mark.parametrize(
    "text",
    ["", ":", "::", "a:b", "a:b:", ":b:1", "a::1", "a:b:x", "a:b:-1", "a:b:1.0", "a:b:c:1", "a:b:" + "9" * 5000,
     "a:b:\N{ARABIC-INDIC DIGIT ONE}"],
)  # fmt: skip
def test_what_is_no_cookie_of_ours_is_none(text):
    assert parse_cookie(text) is None


@given(st.text())
def test_any_environment_value_can_be_asked(text):
    cookie = parse_cookie(text)
    assert cookie is None or ":" not in cookie.unit


@pytest.mark.parametrize(
    ("word", "known", "most", "expected"),
    [
        ("stpo", ["start", "stop", "status"], 1, ["stop"]),
        ("max-restart", ["max_restarts", "min_uptime"], 1, ["max_restarts"]),
        ("WEB", ["web"], 1, ["web"]),
        ("xyzzy", ["start", "stop"], 1, []),
        ("web", [], 1, []),
        ("web1", ["web2", "web3", "api"], 2, ["web3", "web2"]),
    ],
)
def test_the_nearest_word(word, known, most, expected):
    assert nearest(word, known, most=most) == expected


@pytest.mark.parametrize(
    ("number", "name"), [(15, "SIGTERM"), (signal.SIGBUS, "SIGBUS"), (signal.SIGUSR1, "SIGUSR1"), (0, "signal 0"),
                         (99, "signal 99")]
)  # fmt: skip
def test_signals_have_names(number, name):
    assert signal_name(number) == name
