import pytest

from rookery.errors import UsageError
from rookery.logs.names import log_paths


@pytest.mark.parametrize(
    ("merge", "out", "err"),
    [
        ("none", "/l/web-2.out.log", "/l/web-2.err.log"),
        ("streams", "/l/web-2.log", "/l/web-2.log"),
        ("instances", "/l/web.out.log", "/l/web.err.log"),
        ("all", "/l/web.log", "/l/web.log"),
    ],
)
def test_each_merge_has_its_names(merge, out, err):
    assert log_paths("/l", "web", 2, merge) == (out, err)


@pytest.mark.parametrize("name", ["", "a/b", "../x", "nul\0"])
def test_a_name_never_leaves_the_folder(name):
    with pytest.raises(UsageError):
        log_paths("/l", name, 0, "none")


def test_an_unknown_merge_is_refused():
    with pytest.raises(UsageError, match="files"):
        log_paths("/l", "web", 0, "files")
