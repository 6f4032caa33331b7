"""Node apps that know of being one of several: node:cluster, PM2's words, what they find around them; TLS, HTTP/2."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
from pathlib import Path

import pytest
from node_workers import NodeWorkers
from strict_client import StrictClient
from talking import Talk, ask

from capabilities import DEADLINE, needs_node
from rookery.cluster import stats
from rookery.cluster.node.launch import PRELOAD

pytestmark = [pytest.mark.real, needs_node, pytest.mark.timeout(3 * DEADLINE)]

PROGRAMS = Path(__file__).parent / "programs" / "node"
SUBJECT = ["-subj", "/CN=localhost", "-days", "2"]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(["openssl", "req", *kind, *SUBJECT, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return key, cert


def trusting(cert, *protocols):
    context = ssl.create_default_context(cafile=cert)
    context.check_hostname = False
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


async def test_a_file_for_node_cluster_runs_as_workers():
    async with NodeWorkers(PROGRAMS / "primary.js") as workers:
        for slot in (0, 1):
            worker = await workers.start(slot)
            facts = json.loads(await ask(workers))
            assert facts == [True, False, False, slot + 1, True, True, False, False, "listening"]
            async with Talk(workers) as talk:
                await ask(workers)
                worker.child.signal(15)
                await worker.until(lambda one=worker: "draining" in one.ours)
                talk.send()
                assert json.loads((await talk.answer())[1])[-2:] == [True, "disconnecting"]
                talk.writer.close()
                result = await worker.ended()
            assert result.returncode == 0
            assert result.stdout == "disconnect true\nexit 0\n"


@pytest.mark.parametrize("path", ["/leave", "/kill"])
async def test_a_worker_that_leaves_by_itself_drains_and_wants_a_successor(path):
    async with NodeWorkers(PROGRAMS / "primary.js") as workers:
        worker = await workers.start()
        async with Talk(workers) as talk:
            talk.send(path)
            head, body = await talk.answer()
            assert "connection: close" in head
            assert json.loads(body)[-2] is True
            talk.writer.close()
            await worker.until(lambda: "draining" in worker.ours)
            flags = worker.page.read().flags
            assert flags == stats.IS_DRAINING | stats.WANTS_REPLACEMENT
            assert (await worker.ended()).stdout == "disconnect true\nexit 0\n"


async def test_a_module_for_node_cluster():
    async with NodeWorkers(PROGRAMS / "primary.mjs") as workers:
        worker = await workers.start(4)
        assert json.loads(await ask(workers)) == [True, 5]
        assert (await worker.drain()).returncode == 0


async def test_a_command_of_ones_own():
    command = ["node", "--max-old-space-size=200", str(PROGRAMS / "surroundings.js"), "one"]
    async with NodeWorkers(command, args=["two"]) as workers:
        await workers.start()
        found = json.loads(await ask(workers))
        assert found["argv"] == ["one", "two"]
        assert found["own"]["execArgv"] == ["--max-old-space-size=200"]


async def test_what_is_no_script_is_said():
    async with NodeWorkers(["node", "-e", "1"]) as workers:
        worker = await workers.start(ready=False)
        result = await worker.ended()
        assert (result.returncode, result.stderr) == (
            1,
            "rookery: a Node worker is a script in a file, run by node itself\n",
        )


@pytest.mark.parametrize("options", [None, "--no-deprecation"])
async def test_children_of_the_app_get_nothing_of_ours(options):
    env = {"NODE_OPTIONS": options} if options else {}
    async with NodeWorkers(PROGRAMS / "surroundings.js", env=env) as workers:
        await workers.start(3)
        found = json.loads(await ask(workers))
        none = dict.fromkeys(["ROOKERY_NODE", "NODE_UNIQUE_ID", "NODE_CHANNEL_FD"])
        port = str(workers.address[1])
        expected = {"NODE_OPTIONS": options, **none, "NODE_APP_INSTANCE": "3", "PORT": port}
        for who in ("own", "exec", "fork", "thread"):
            assert found[who]["env"] == expected, who
            assert found[who]["execArgv"] == []
        assert [found[who]["isWorker"] for who in ("own", "exec", "fork")] == [True, False, False]


async def test_an_app_that_says_ready_itself_and_talks_to_its_parent():
    async with NodeWorkers(PROGRAMS / "says_ready.js") as workers:
        worker = await workers.start()
        await worker.until(lambda: worker.messages == ["ready"])
        await worker.channel.send({"hello": "ü"})
        await worker.until(lambda: worker.messages[1:] == [{"echo": {"hello": "ü"}}])


async def test_the_numbers_of_a_worker():
    async with NodeWorkers(PROGRAMS / "answers.js") as workers:
        worker = await workers.start()
        for _ in range(20):
            await ask(workers)
        for path in ("/error", "/slow"):
            async with Talk(workers) as talk:
                talk.send(path)
                await talk.answer()
        async with Talk(workers) as talk, Talk(workers):
            talk.send("/hang")
            talk.send("/hang")
            await ask(workers)
            await worker.until(lambda: worker.page.read().requests == 23 and worker.page.read().in_flight == 2)
            numbers = worker.page.read()
            assert (numbers.errors, numbers.connections, numbers.accepted) == (1, 2, 25)
            assert sum(numbers.histogram) == 23
            assert numbers.percentile(0.5) < numbers.percentile(0.99)
            assert 0.28 < numbers.percentile(0.99) <= 1.1 * numbers.latency < DEADLINE
            before = numbers.heartbeat
            await worker.until(lambda: worker.page.read().heartbeat > before)
        # Who goes away without an answer is in flight no more.
        await worker.until(lambda: worker.page.read().in_flight == 0)
        assert worker.page.read().requests == 25


def test_latencies_have_the_same_places_in_both_languages():
    times = [0, 1, 15, 16, 17, 31, 32, 33, 100, 999, 1000, 65_535, 1_000_000, 2**31, 2**32 - 1]
    script = f"""
        const {{ Counts }} = require({json.dumps(os.path.join(os.path.dirname(PRELOAD), "counts.cjs"))});
        const found = {times}.map((time) => {{
          const counts = new Counts();
          performance.now = () => time / 1000;
          counts.ended(0, 200);
          return counts.take().histogram[0][0];
        }});
        console.log(JSON.stringify(found));
    """
    said = subprocess.run(["node", "-e", script], capture_output=True, check=True).stdout
    assert json.loads(said) == [stats.bucket(time) for time in times]


async def test_https(certificate):
    key, cert = certificate
    async with NodeWorkers(PROGRAMS / "secure.js", args=["https", key, cert]) as workers:
        context = trusting(cert)
        running = await workers.start()
        client = StrictClient(lambda: asyncio.open_connection(*workers.address, ssl=context))
        client.start(keep_alive=2, each=1, lag=2)
        for _ in range(3):
            async with Talk(workers, ssl=context) as idle, Talk(workers, ssl=context) as silent:
                idle.send()
                await idle.answer()
                new = await workers.start()
                result = await running.drain()
                assert (result.returncode, result.stderr) == (0, "")
                assert await silent.rest() == b""
            running = new
        await client.stop()
        assert (dict(client.failed), dict(client.stale)) == ({}, {})
        assert min(client.answered.values()) > 5


@pytest.mark.parametrize("kind", ["secure", "plain"])
async def test_http2(kind, certificate):
    """A session ends when its requests are answered; the next session is another worker's."""
    key, cert = certificate
    program = "secure.js" if kind == "secure" else "streams.js"
    args = ["h2", key, cert] if kind == "secure" else []
    async with NodeWorkers(PROGRAMS / program, args=args, linger=2 * DEADLINE, drain_timeout=3 * DEADLINE) as workers:
        old = await workers.start()
        scheme = "https" if kind == "secure" else "http"
        url = f"{scheme}://localhost:{workers.address[1]}"
        client = await asyncio.create_subprocess_exec(
            "node",
            PROGRAMS / "h2_client.js",  # ends with its stdin
            url,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "NODE_EXTRA_CA_CERTS": str(cert)},
        )
        assert (await client.stdout.readline()).decode().strip() == "sent"
        old.child.signal(15)
        await workers.start()
        async with asyncio.timeout(DEADLINE):  # less than the linger
            said = [(await client.stdout.readline()).decode().strip() for _ in range(2)]
        assert said == ["200 slow", "session closed"]
        result = await old.ended()
        assert (result.returncode, result.stderr) == (0, "")
        client.stdin.write(b"again\n")
        assert (await client.stdout.readline()).decode().startswith("200 ")
        client.stdin.close()
        assert await client.wait() == 0
        assert old.page.fd == -1
