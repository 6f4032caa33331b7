"""What each route does: read the request, ask the service, write the answer."""

# ruff: noqa: D102 - the table of routes says what each of them is

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from rookery import errors
from rookery.control.messages import (
    ActRequest,
    FlushRequest,
    Health,
    Restarted,
    RestartRequest,
    ScaleRequest,
    SelectRequest,
    SendRequest,
    SignalRequest,
    StartRequest,
    UpgradeRequest,
)
from rookery.web.bodies import body_of, events_of, flag_of, selectors_of, until_of
from rookery.web.log_stream import Lines, LogStream, log_query
from rookery.web.openapi import document
from rookery.web.streams import EVENT_STREAM, EventStream, Message, Streams

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.requests import Request

    from rookery.control.messages import ActionResult, Event
    from rookery.control.service import EventFeed, Service, Verb


class Handlers:
    """One coroutine per route, named as in the table."""

    def __init__(self, service: Service, streams: Streams) -> None:
        self._service = service
        self._streams = streams
        self._openapi = b""

    async def healthz(self, _: Request) -> Response:
        return _json(Health())

    async def openapi(self, _: Request) -> Response:
        self._openapi = self._openapi or msgspec.json.encode(document())
        return Response(self._openapi, media_type="application/json")

    async def ping(self, _: Request) -> Response:
        return _json(self._service.ping())

    async def instances(self, request: Request) -> Response:
        return _json(self._service.rows(selectors_of(request)))

    async def status(self, _: Request) -> Response:
        return _json(self._service.rows([]))

    async def status_of(self, request: Request) -> Response:
        return _json(self._service.rows([request.path_params["name"]]))

    async def details(self, request: Request) -> Response:
        return _json(self._service.details(selectors_of(request)))

    async def logs(self, request: Request) -> Response:
        return _json(self._service.sources(selectors_of(request)))

    async def logs_stream(self, request: Request) -> Response:
        query = log_query(request)
        return LogStream(self._streams, Lines(query, lambda: self._service.sources(query.selectors)))

    async def env(self, request: Request) -> Response:
        reveal = flag_of(request, "show_secrets")
        if reveal and request.client is not None:  # somebody with a network address
            raise HTTPException(403, "secrets are shown on the Unix socket only")
        return _json(self._service.environments(selectors_of(request), reveal=reveal))

    async def wait(self, request: Request) -> Response:
        until, timeout = until_of(request)
        selectors = selectors_of(request)
        if not selectors:
            raise errors.UsageError("wait for what?", hint="select=NAME, or select=all")
        work = asyncio.ensure_future(self._service.wait(selectors, until, timeout))
        ended = asyncio.ensure_future(self._streams.ended())
        try:
            await asyncio.wait({work, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():  # the manager leaves: who waits asks the next one
                return _json(await self._service.wait(selectors, until, 0.0))
            return _json(work.result())
        finally:
            work.cancel()
            ended.cancel()

    async def events(self, request: Request) -> Response:
        query = events_of(request, self._service.ping().epoch)
        if not flag_of(request, "follow") and EVENT_STREAM not in request.headers.get("accept", ""):
            return _json(self._service.events(query))
        feed = self._service.follow(query)
        return EventStream(self._streams, lambda: _messages(feed))

    async def apply(self, request: Request) -> Response:
        return _json(await _finished(self._service.apply(await body_of(request, StartRequest))))

    async def start(self, request: Request) -> Response:
        return await self._act("start", request)

    async def stop(self, request: Request) -> Response:
        return await self._act("stop", request)

    async def restart(self, request: Request) -> Response:
        return await self._act("restart", request)

    async def reload(self, request: Request) -> Response:
        return await self._act("reload", request)

    async def delete(self, request: Request) -> Response:
        return await self._act("delete", request)

    async def _act(self, verb: Verb, request: Request) -> Response:
        return _json(await _finished(self._service.act(verb, await body_of(request, ActRequest))))

    async def scale(self, request: Request) -> Response:
        return _json(await _finished(self._service.scale(await body_of(request, ScaleRequest))))

    async def reset(self, request: Request) -> Response:
        return _json(self._service.reset((await body_of(request, SelectRequest)).selectors))

    async def signal(self, request: Request) -> Response:
        return _json(self._service.signal(await body_of(request, SignalRequest)))

    async def flush(self, request: Request) -> Response:
        return _json(await self._service.flush((await body_of(request, FlushRequest)).selectors))

    async def send(self, request: Request) -> Response:
        body = await body_of(request, SendRequest)
        return _json(self._service.send(body.selectors, body.text.encode()))

    async def upgrade(self, request: Request) -> Response:
        await self._service.upgrade(await body_of(request, UpgradeRequest))
        return _json({})

    async def kill(self, _: Request) -> Response:
        return _json(await _finished(self._service.shut_down()))

    async def simple_restart(self, request: Request) -> Response:
        name = (await body_of(request, RestartRequest)).name
        rows = self._service.rows([name])
        result = await _finished(self._service.act("restart", ActRequest(selectors=[name])))
        failed = [one for one in result.outcomes if not one.ok]
        if failed:
            raise errors.OperationFailed(f"{failed[0].name}:{failed[0].index} did not restart", why=failed[0].reason)
        pids = [one.pid for one in result.outcomes if one.pid is not None]
        return _json(Restarted(name=rows[0].name, pid=pids[0] if pids else None, pids=pids))


async def _messages(feed: EventFeed) -> list[Message]:
    return [_message(event) for event in await feed.more()]


def _message(event: Event) -> Message:
    return Message(msgspec.json.encode(event).decode(), f"{event.epoch}.{event.seq}", event.type)


async def _finished(work: Awaitable[ActionResult]) -> ActionResult:
    try:
        return await work
    except asyncio.CancelledError:  # by the server, which leaves: its last turn is enough for an answer
        raise errors.OperationFailed(
            "the manager had to leave while it worked",
            why="it may have done all, some or nothing of it",
            hint="look with: rook list",
        ) from None


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
