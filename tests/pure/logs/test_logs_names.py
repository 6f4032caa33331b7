import pytest

from rookery.errors import UsageError
from rookery.logs.names import Naming, combined_path, first_clash, log_paths


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


def test_the_combined_file():
    assert combined_path("/l", "web") == "/l/web.combined.log"


def named(text):
    """``a none 2 combined``"""
    name, merge, instances, *combined = text.split()
    return Naming(name, merge, int(instances), bool(combined))


@pytest.mark.parametrize(
    ("one", "other", "file"),
    [
        ("a none 1", "b none 1", None),
        ("a none 2", "a-0 none 2", None),
        ("a none 1", "a-0 instances 1", "a-0.out.log"),
        ("a none 1", "a-1 instances 1", None),
        ("a none 2", "a-1 instances 1", "a-1.out.log"),
        ("a none 9999", "a-9999 instances 1", None),
        ("a none 2", "a-01 instances 1", None),
        ("a none 2", "a-1 all 1", None),
        ("a streams 2", "a-1 all 1", "a-1.log"),
        ("a streams 1", "a-0 instances 1", None),
        ("a-0 streams 1", "a streams 1", None),
        ("a none 1", "a-0.err all 1", "a-0.err.log"),
        ("a instances 1", "a.out all 1", "a.out.log"),
        ("a instances 1 combined", "a.combined all 1", "a.combined.log"),
        ("a none 1 combined", "a.combined none 1 combined", None),
        ("a-0 none 1 combined", "a none 1 combined", None),
        ("a.combined-0 all 1", "a.combined streams 1", "a.combined-0.log"),
    ],
)
def test_two_apps_and_one_file(one, other, file):
    one, other = named(one), named(other)
    expected = None if file is None else (one, other, file)
    assert first_clash([one], [other]) == expected
    assert first_clash([other], [one]) == (None if file is None else (other, one, file))
    found = first_clash([one, other], [])
    assert (found is None) == (file is None)
    assert found is None or found[2] == file


def test_what_is_replaced_or_was_there_before_does_not_count():
    old, new = named("a none 1"), named("a all 1")
    rival = named("a-0 instances 1")
    assert first_clash([new], [old, rival]) is None
    assert first_clash([named("b none 1")], [old, rival]) is None
    assert first_clash([], [old, rival]) is None
