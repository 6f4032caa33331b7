import pytest

from rookery.process.gate import through_gate


@pytest.mark.parametrize(
    ("limits", "lines"),
    [
        ({"nofile": 64}, "ulimit -n 64 || exit 126"),
        ({"as": 1025}, "ulimit -v 2 || exit 126"),  # KiB, rounded up: never stricter than asked for
        ({"core": 0}, "ulimit -c 0 || exit 126"),
        ({"core": 513}, "ulimit -c 2 || exit 126"),
        ({"cpu": 5}, "ulimit -t 5 || exit 126"),
        ({"nproc": 7}, "ulimit -u 7 2>/dev/null || ulimit -p 7 || exit 126"),
        ({"nofile": 64, "cpu": 5}, "ulimit -t 5 || exit 126; ulimit -n 64 || exit 126"),
    ],
)
def test_limits_become_lines_of_shell(limits, lines):
    env = {"PWD": "/", "OLDPWD": "/", "SHLVL": "1"}
    argv = ["prog", "an arg", "$x;"]
    assert through_gate(argv, limits, env=env) == ["/bin/sh", "-c", f'{lines}; exec "$@"', "/bin/sh", *argv]


def test_an_unknown_limit_is_refused_by_name():
    with pytest.raises(ValueError, match="unknown limit 'files'; known are as, core, cpu, nofile, nproc"):
        through_gate(["prog"], {"files": 1}, env={})
