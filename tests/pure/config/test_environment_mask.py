from __future__ import annotations

import pytest

from rookery.config.environment import base_environment, mask

CALLER = {
    "HOME": "/home/a",
    "USER": "a",
    "LOGNAME": "a",
    "SHELL": "/bin/sh",
    "PATH": "/bin",
    "LANG": "C.UTF-8",
    "LANGUAGE": "en",
    "LC_ALL": "C",
    "TZ": "UTC",
    "TMPDIR": "/tmp",
    "XDG_RUNTIME_DIR": "/run/user/1",
}
OTHER = {"VIRTUAL_ENV": "/venv", "AWS_SECRET": "x", "LCD": "x", "HOMEPAGE": "x", "PYTHONPATH": "x"}
NEVER = {"ROOKERY_UNIT": "x:1:1", "NOTIFY_SOCKET": "/n", "LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "a"}


def test_the_usual_few():
    assert base_environment({**CALLER, **OTHER, **NEVER}) == CALLER


def test_everything_but_what_belongs_to_the_callers_supervisor():
    assert base_environment({**CALLER, **OTHER, **NEVER}, inherit_all=True) == {**CALLER, **OTHER}


@pytest.mark.parametrize(
    "key",
    [
        "SECRET",
        "MY_SECRET_THING",
        "GITHUB_TOKEN",
        "PASSWORD",
        "DB_PASSWORD",
        "MYSQL_PASSWD",
        "API_KEY",
        "AWS_ACCESS_KEY_ID",
        "GOOGLE_CREDENTIALS",
        "SENTRY_DSN",
        "SECRET_URL",
        "db_password",
        "apiKey",
    ],
)
def test_masked_keys(key):
    assert mask({key: "value"}) == {key: "***"}


@pytest.mark.parametrize("key", ["PATH", "PORT", "LOG_LEVEL", "PASS", "URL", "DATABASE_URI"])
def test_open_keys(key):
    assert mask({key: "value"}) == {key: "value"}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://user:pw@host/db", "postgres://user:***@host/db"),
        ("redis://:pw@host:6379/0", "redis://:***@host:6379/0"),
        ("postgres://user:p/w@x@host/db", "postgres://user:***@host/db"),
        ("amqp://a@b.org:pw@host", "amqp://a@b.org:***@host"),
        ("redis://a:one@h1,redis://b:two@h2", "redis://a:***@h2"),
        ("https://host:8080/path", "https://host:8080/path"),
        ("https://user@host/path", "https://user@host/path"),
        ("plain", "plain"),
        ("jdbc:postgresql://h/db?user=a&password=pw&x=1", "jdbc:postgresql://h/db?user=a&password=***&x=1"),
        ("https://h/?api_key=pw#part", "https://h/?api_key=***#part"),
        ("https://h/?page=2&monk=3", "https://h/?page=2&monk=3"),
    ],
)
@pytest.mark.parametrize("name", ["DATABASE_URL", "database_url", "DATABASE_URI", "HTTPS_PROXY", "BROKER"])
def test_urls_lose_only_their_secrets_whatever_their_name(name, url, shown):
    assert mask({name: url}) == {name: shown}


def test_the_original_is_left_alone():
    env = {"TOKEN": "x"}
    mask(env)
    assert env == {"TOKEN": "x"}
