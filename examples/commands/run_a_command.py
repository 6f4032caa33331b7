"""Running commands to their end: results, failures, limits, input, shell scripts, pipelines."""

import asyncio
import tempfile
from pathlib import Path

from rookery import CommandNotFound, ProcessFailed, TimedOut, run, shell, spawn


async def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "one.log").write_text("error: disk\nfine\nerror: net\n")
        (folder / "; rm -rf two.log").write_text("error: disk\n")

        result = await run("ls", cwd=folder, timeout=10)
        print("files:", result.stdout.splitlines())

        try:
            await run("ls", "missing", cwd=folder)
        except ProcessFailed as error:
            print("failed:", error.result.returncode > 0, "missing" in error.result.stderr)

        found = await run("grep", "-c", "nothing", folder / "one.log", ok_exit_codes={0, 1})
        print("grep found:", found.stdout.strip())

        try:
            await run("sleep", "60", timeout=0.1)
        except TimedOut as error:
            print("too slow:", error.result.timed_out, error.result.signal)

        try:
            await run("sotr")
        except CommandNotFound as error:
            print("did you mean sort?", "sort" in error.near)

        print("sorted:", (await run("sort", input="b\na\n")).stdout.split())

        files = sorted(folder.iterdir())
        counted = await shell("cat {files} | grep -c {what}", {"files": files, "what": "error"})
        print("errors:", counted.stdout.strip())

        with (folder / "one.log").open() as file:
            joined = await run(spawn("grep", "error", stdin=file) | spawn("wc", "-l"))
        print("joined:", joined.stdout.strip(), [stage.returncode for stage in joined.stages])


asyncio.run(main())
