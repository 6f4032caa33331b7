from __future__ import annotations

import os

import pytest

from rookery.config.toml import load_file
from rookery.errors import ConfigError

RUN = "[apps.web]\ncommand = 'run'\n"


def problem_of(project, text, **options):
    project.program("run")
    path = project.file("rook.toml", text)
    with pytest.raises(ConfigError) as caught:
        load_file(path, environ=project.environ, **options)
    assert caught.value.file == path
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "key", "hint"),
    [
        (f"{RUN}graceful_timout = 3", 3, "apps.web.graceful_timout", "did you mean graceful_timeout?"),
        (f"{RUN}graceful-timeout = 3", 3, "apps.web.graceful-timeout", "did you mean graceful_timeout?"),
        (f"{RUN}backoff.bsae = 3", 3, "apps.web.backoff.bsae", "did you mean base?"),
        (f"{RUN}logs = {{ keep = 1, mereg = 2 }}", 3, "apps.web.logs.mereg", "did you mean merge?"),
        (f"{RUN}[apps.web.limits]\nmemry = 3", 4, "apps.web.limits.memry", "did you mean memory?"),
        ("[defaults]\nrestrat = 3", 2, "defaults.restrat", "did you mean restart?"),
        ("[defaults]\nscript = 'a.py'", 2, "defaults.script", "write it under [apps.NAME]"),
        ("[app.web]\ncommand = 'run'", 1, "app", "did you mean apps?"),
        ("\n[web]\ncommand = 'run'", 2, "web", "apps are written [apps.web]"),
        ("colour = 1", 1, "colour", "a rook.toml has [defaults] and [apps.NAME]"),
        (f"{RUN}name = 'x'", 3, "apps.web.name", "stands in its table"),
        (f"{RUN}logs.zzz = 1", 3, "apps.web.logs.zzz", "known keys here: combined, compress, json, keep"),
    ],
)
def test_unknown_keys(project, text, line, key, hint):
    error = problem_of(project, text)
    assert (error.problem, error.line, error.key) == ("unknown key", line, key)
    assert hint in error.hint


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("watch = true", "apps.web.watch"),
        ("cron_restart = '@daily'", "apps.web.cron_restart"),
        ("max_memory = '300M'", "apps.web.max_memory"),
        ("readiness = { port = 80 }", "apps.web.readiness.port"),
        ("[deploy.production]", "deploy"),
    ],
)
def test_keys_for_later_are_told_apart(project, line, key):
    error = problem_of(project, RUN + line)
    assert (error.problem, error.line, error.key) == ("not supported yet", 3, key)


@pytest.mark.parametrize(
    ("line", "key", "says"),
    [
        ("args = '--port 80'", "args", "must be a list of strings, not '--port 80'"),
        ("args = ['a', true]", "args[1]", "must be a string, not true"),
        ("backoff = 3", "backoff", "must be a table, not 3"),
        ("backoff.factor = 0.5", "backoff.factor", "must be from 1 to 1000000, not 0.5"),
        ("backoff = { base = '1m', cap = '1s' }", "backoff", "cap (1 s) is below base (60 s)"),
        ("backoff.jitter = 1", "backoff.jitter", "must be true or false, not 1"),
        ("cwd = 3", "cwd", "must be a string, not 3"),
        ("cwd = ''", "cwd", "must not be empty"),
        ("cwd = 'gone'", "cwd", "there is no folder "),
        ("cwd = 'rook.toml'", "cwd", "is a file, not a folder"),
        ("env = { A = ['x'] }", "env.A", "must be a string, a number or a boolean, not a list"),
        ("env = { A = 1979-05-27 }", "env.A", "not a date or time"),
        ("env = 'A=1'", "env", "must be a table, not 'A=1'"),
        ("env = { ROOKERY_UNIT = 'x' }", "env.ROOKERY_UNIT", "is set by rookery itself"),
        ("env = { 'A=B' = 'x' }", 'env."A=B"', "cannot be the name"),
        ('env = { A = "a\\u0000b" }', "env.A", "NUL"),
        ("env_file = 'gone.env'", "env_file", "there is no file 'gone.env'"),
        ("env_profiles = { p = 1 }", "env_profiles.p", "must be a table, not 1"),
        ("graceful_timeout = '10 parsecs'", "graceful_timeout", "'10 parsecs' is not a duration"),
        ("graceful_timeout = true", "graceful_timeout", "must be a duration"),
        ("graceful_timeout = -1", "graceful_timeout", "must be zero or more"),
        ("graceful_timeout = inf", "graceful_timeout", "finite"),
        (f"graceful_timeout = 1{'0' * 400}", "graceful_timeout", "not a huge number"),
        ("instances = 0", "instances", "must be 1 or more, not 0"),
        ("instances = 'many'", "instances", "must be a number from 1 to 10000, 'max', 'half' or -1, not 'many'"),
        ("instances = '2'", "instances", "not '2'"),
        ("instances = true", "instances", "not true"),
        ("interpreter = 'node'", "interpreter", "goes with script, module or app"),
        ("limits.memory = '3X'", "limits.memory", "'3X' is not a size"),
        (f"limits.memory = '1{'0' * 400}'", "limits.memory", "must be a size"),
        ("limits.memory = true", "limits.memory", "must be a size such as 1048576, '64K' or '300M', not true"),
        ("limits.memory = []", "limits.memory", "must be a size such as 1048576, '64K' or '300M', not a list"),
        ("limits.open_files = -1", "limits.open_files", "must be 0 or more, not -1"),
        ("logs.max_size = 0", "logs.max_size", "must be more than zero bytes, not 0"),
        ("logs.keep = '7'", "logs.keep", "must be a whole number, not '7'"),
        ("logs.merge = 'both'", "logs.merge", "must be 'none' or 'streams' or 'instances' or 'all', not 'both'"),
        ("logs.timestamps = 1", "logs.timestamps", "must be true, false or a pattern"),
        ("logs.timestamps = 'true'", "logs.timestamps", "must be true or false without quotes"),
        ("logs.timestamps = ''", "logs.timestamps", "pattern is empty"),
        ("logs.timestamps = '%Q'", "logs.timestamps", "no strftime directive"),
        ("logs.timestamps = '[at]'", "logs.timestamps", "nothing of the time"),
        ("logs.prefix = 'web'", "logs.prefix", "must be true or false, not 'web'"),
        ("logs.json = 1", "logs.json", "must be true or false, not 1"),
        ("logs.combined = 'all.log'", "logs.combined", "must be true or false, not 'all.log'"),
        ("logs.rotate = 'monthly'", "logs.rotate", "'daily' or 'weekly', not 'monthly'"),
        ("logs.compress = 'gzip'", "logs.compress", "must be true or false, not 'gzip'"),
        ("logs.on_full = 'stop'", "logs.on_full", "must be 'drop' or 'block', not 'stop'"),
        ("logs.via = 'file'", "logs.via", "must be 'pipe' or 'direct' or 'stdout', not 'file'"),
        ("logs = { json = true, prefix = true }", "logs.prefix", "a prefix makes no JSON"),
        ("logs = { compress = true, keep = 1 }", "logs.compress", "nothing to compress with keep = 1"),
        ("logs = { via = 'direct', timestamps = true }", "logs.timestamps", 'does not go with via = "direct"'),
        ("logs = { via = 'direct', timestamps = 'HH:mm' }", "logs.timestamps", 'does not go with via = "direct"'),
        ("logs = { via = 'direct', prefix = true }", "logs.prefix", 'does not go with via = "direct"'),
        ("logs = { via = 'direct', json = true }", "logs.json", 'does not go with via = "direct"'),
        ("logs = { via = 'direct', combined = true }", "logs.combined", 'does not go with via = "direct"'),
        ("logs = { via = 'direct', rotate = 'daily' }", "logs.rotate", 'does not go with via = "direct"'),
        ("logs = { via = 'direct', compress = true }", "logs.compress", 'does not go with via = "direct"'),
        ("logs = { via = 'direct', on_full = 'block' }", "logs.on_full", 'does not go with via = "direct"'),
        ("max_restarts = { window = 3 }", "max_restarts", "count is missing"),
        ("max_restarts = { count = 3, window = 0 }", "max_restarts.window", "longer than zero"),
        ("max_restarts = 'x'", "max_restarts", "must be a whole number, not 'x'"),
        ("namespace = 'a b'", "namespace", "cannot be a name"),
        ("ok_exit_codes = 0", "ok_exit_codes", "must be a list of exit codes"),
        ("ok_exit_codes = [0, 256]", "ok_exit_codes[1]", "from 0 to 255, not 256"),
        ("restart = 'on_failure'", "restart", "must be 'always' or 'on-failure' or 'never', not 'on_failure'"),
        ("script = 'x.py'", "command", "script and command exclude each other"),
        ("stdin = 'tty'", "stdin", "'tty'"),
        ("stop_scope = 'group'", "stop_scope", "must be 'tree' or 'leader'"),
        ("stop_signal = 'SIGTREM'", "stop_signal", "'SIGTREM' is no signal"),
        ("stop_signal = 0", "stop_signal", "0 is no signal's number"),
        ("stop_signal = []", "stop_signal", "must be a signal's name such as 'SIGTERM', not a list"),
        ("umask = '089'", "umask", "must be an octal text such as '022', not '089'"),
        ("umask = 0o1000", "umask", "must be from '000' to '777'"),
        ("user = ''", "user", "must not be empty"),
        ("user = 1.5", "user", "must be a name or a number, not 1.5"),
    ],
)
def test_wrong_values(project, line, key, says):
    error = problem_of(project, RUN + line)
    assert says in error.problem
    assert error.key == f"apps.web.{key}"
    assert error.line == (2 if key == "command" else 3)


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("[apps.web]", "apps.web", "nothing says what to run"),
        ("[apps.web]\ncommand = []", "apps.web.command", "the command is empty"),
        ("[apps.web]\ncommand = ''", "apps.web.command", "the command is empty"),
        ("[apps.web]\ncommand = ['']", "apps.web.command", "the command is empty"),
        ("[apps.web]\ncommand = 3", "apps.web.command", "must be a list of strings, not 3"),
        ("[apps.web]\ncommand = 'run | tee x'", "apps.web.command", "contains '|', and no shell"),
        ("[apps.web]\ncommand = 'run \"x'", "apps.web.command", "no closing quotation"),
        ("[apps.web]\ncommand = 'rnu'", "apps.web.command", "there is no command 'rnu' on PATH"),
        ("[apps.web]\ncommand = './gone'", "apps.web.command", "there is no './gone'"),
        ("[apps.web]\nscript = 'gone.py'", "apps.web.script", "there is no file 'gone.py'"),
        ("[apps.web]\nscript = '.'", "apps.web.script", "is a directory"),
        ("[apps.web]\nscript = 'rook.toml'", "apps.web.script", "nothing says how to run 'rook.toml'"),
        ("[apps.web]\nmodule = 'pkg/main.py'", "apps.web.module", "must be a module such as 'pkg.main'"),
        ("[apps.web]\nmodule = 'main.py'", "apps.web.module", "must be a module such as 'pkg.main'"),
        ("[apps.web]\nmodule = 'a b'", "apps.web.module", "must be a module such as 'pkg.main'"),
        ("[apps.web]\nmodule = 'pkg'", "apps.web", "there is no Python"),
        ("[apps.web]\nmodule = 'm'\ninterpreter = 'pyhton'", "apps.web.interpreter", "no command 'pyhton' on PATH"),
        ("[apps.web]\nmodule = 'm'\ninterpreter = 'v/bin/python'", "apps.web.interpreter", "there is no 'v/bin"),
        ("[defaults]\ncwd = 'gone'\n[apps.web]\ncommand='run'", "defaults.cwd", "there is no folder"),
        ("apps = []", "apps", "must be a table, not a list"),
        ("[apps]\nweb = 'run'", "apps.web", "must be a table, not 'run'"),
    ],
)
def test_what_to_run(project, text, key, says):
    error = problem_of(project, text)
    assert (says in error.problem, error.key) == (True, key), str(error)
    assert error.line is not None


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("restart = 'on_failure'", "did you mean on-failure?"),
        ("stop_signal = 'SIGTREM'", "did you mean SIGTERM?"),
        ("stop_signal = 'hub'", "did you mean SIGHUP?"),
        ("instances = 0", 'write "max" for one per CPU'),
    ],
)
def test_hints(project, line, hint):
    assert problem_of(project, RUN + line).hint == hint


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("all", "'all' selects every app"),
        ("12", "a number selects an app by its id"),
        ('"a/b"', "use letters"),
        ('"a:1"', "use letters"),
        ('""', "use letters"),
        ('".x"', "use letters"),
        ("-x", "use letters"),
        ('"a\\n"', "use letters"),
        ("x" * 101, "longer than 100"),
    ],
)
def test_names_of_apps(project, name, says):
    error = problem_of(project, f"# first line\n[apps.{name}]\ncommand = 'run'")
    assert says in error.problem
    assert error.line == 2


@pytest.mark.parametrize("name", ["web", "_x", "Web-2.0", "0x", "x" * 100])
def test_good_names(project, name):
    project.program("run")
    path = project.file("rook.toml", f'[apps."{name}"]\ncommand = "run"')
    assert load_file(path, environ=project.environ)[0].name == name


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[apps.web]\ncommand = \n", 2),
        ("[apps.web]\n\ncommand = 'a'\ncommand = 'b'", 4),
        ("[apps.web]\ncommand = [1,\n", 2),
        ("[apps.web\n", 1),
    ],
)
def test_syntax_errors(project, text, line):
    error = problem_of(project, text)
    assert error.problem.startswith("this is not TOML: ")
    assert error.line == line


@pytest.mark.parametrize("text", ["", "# nothing\n", "[defaults]\nrestart = 'never'", "[apps]"])
def test_no_apps(project, text):
    assert problem_of(project, text).problem == "there are no apps in it"


def test_a_deep_file_is_refused_not_crashed_on(project):
    assert "too deeply" in problem_of(project, "a = " + "[" * 100_000).problem


def test_not_utf8(project):
    path = project.file("rook.toml")
    with open(path, "wb") as stream:
        stream.write(b"[apps.web]\ncommand = '\xff'\n")
    with pytest.raises(ConfigError, match="not UTF-8") as caught:
        load_file(path)
    assert caught.value.line == 2


def test_a_byte_order_mark_is_no_problem(project):
    project.program("run")
    path = project.file("rook.toml", "\ufeff[apps.web]\ncommand = 'run'")
    assert load_file(path, environ=project.environ)[0].name == "web"


def test_a_directory(project):
    with pytest.raises(ConfigError, match="this is a directory") as caught:
        load_file(project.folder)
    assert caught.value.hint.endswith("/rook.toml")


def test_a_missing_file_names_the_nearest(project):
    project.file("rook.toml")
    with pytest.raises(ConfigError, match="no such file") as caught:
        load_file(os.path.join(project.folder, "rok.toml"))
    assert caught.value.hint == "did you mean rook.toml?"


def test_an_unreadable_file(project, monkeypatch):
    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        load_file("rook.toml")


def test_the_first_problem_of_several_is_told_with_their_number(project):
    error = problem_of(project, f"{RUN}restrat = 1\ncwd = 3\n[defaults]\numask = 'x'")
    assert (error.key, error.line) == ("apps.web.restrat", 3)
    assert error.hint == "did you mean restart? (2 more problems after this one)"


def test_a_problem_in_the_env_file_is_located_there(project):
    project.program("run")
    env_file = project.file("app.env", "A=1\nnonsense\n")
    path = project.file("rook.toml", f"{RUN}env_file = 'app.env'")
    with pytest.raises(ConfigError) as caught:
        load_file(path, environ=project.environ)
    assert (caught.value.file, caught.value.line) == (env_file, 2)


def test_a_script_beside_the_file_but_not_in_cwd_is_pointed_out(project):
    project.file("web.py")
    project.folder_at("home/work/project/sub")
    error = problem_of(project, "[apps.web]\nscript = 'web.py'\ncwd = 'sub'")
    assert error.hint == f"scripts are looked for in cwd, but {project.folder}/web.py is there"


def test_a_file_without_end():
    with pytest.raises(ConfigError, match="it is larger than 1048576 bytes"):
        load_file("/dev/zero")
