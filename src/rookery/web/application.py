"""The control API as a Starlette application: routes, bodies, errors as problem+json."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route

from rookery import errors
from rookery.control.messages import ActRequest, Problem, SendRequest, StartRequest, UpgradeRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from rookery.control.messages import ActionResult
    from rookery.control.service import Service, Verb

T = TypeVar("T")
MOST_BODY = 1024 * 1024
_STATUS = {1: 409, 2: 422, 3: 404, 5: 504}
_log = logging.getLogger(__name__)


def application(service: Service) -> Starlette:
    """The routes of version 1 over service."""
    routes = _Routes(service)
    served = Starlette(
        routes=[
            Route("/v1/ping", routes.ping),
            Route("/v1/instances", routes.instances),
            Route("/v1/details", routes.details),
            Route("/v1/logs", routes.logs),
            Route("/v1/apply", routes.apply, methods=["POST"]),
            *(
                Route(f"/v1/{verb}", routes.act(verb), methods=["POST"])  # type: ignore[arg-type]
                for verb in ("start", "stop", "restart", "delete")
            ),
            Route("/v1/send", routes.send, methods=["POST"]),
            Route("/v1/upgrade", routes.upgrade, methods=["POST"]),
            Route("/v1/kill", routes.kill, methods=["POST"]),
        ],
        middleware=[Middleware(_Warned, service=service)],
        exception_handlers={errors.RookeryError: _rookery_error, HTTPException: _http_error, Exception: _defect},
    )
    served.router.redirect_slashes = False  # an unknown path is unknown
    return served


class _Warned:
    """Puts the service's warning beside every answer, in the field Rookery-Warning."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        warning = self._service.warning()

        async def with_warning(message: Message) -> None:
            if warning and message["type"] == "http.response.start":
                value = " ".join(warning.split()).encode("latin-1", "replace")
                message["headers"] = [*message["headers"], (b"rookery-warning", value)]
            await send(message)

        await self._app(scope, receive, with_warning)


class _Routes:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def ping(self, _: Request) -> Response:
        return _json(self._service.ping())

    async def instances(self, request: Request) -> Response:
        return _json(self._service.rows(_selectors(request)))

    async def details(self, request: Request) -> Response:
        return _json(self._service.details(_selectors(request)))

    async def logs(self, request: Request) -> Response:
        return _json(self._service.sources(_selectors(request)))

    async def apply(self, request: Request) -> Response:
        return _json(await _finished(self._service.apply(await _body(request, StartRequest))))

    def act(self, verb: Verb) -> object:
        async def endpoint(request: Request) -> Response:
            return _json(await _finished(self._service.act(verb, await _body(request, ActRequest))))

        return endpoint

    async def send(self, request: Request) -> Response:
        body = await _body(request, SendRequest)
        return _json(self._service.send(body.selectors, body.text.encode()))

    async def upgrade(self, request: Request) -> Response:
        await self._service.upgrade(await _body(request, UpgradeRequest))
        return _json({})

    async def kill(self, _: Request) -> Response:
        return _json(await _finished(self._service.shut_down()))


async def _finished(work: Awaitable[ActionResult]) -> ActionResult:
    try:
        return await work
    except asyncio.CancelledError:  # by the server, which leaves: its last turn is enough for an answer
        raise errors.OperationFailed(
            "the manager had to leave while it worked",
            why="it may have done all, some or nothing of it",
            hint="look with: rook list",
        ) from None


def _selectors(request: Request) -> list[str]:
    return request.query_params.getlist("select")


async def _body(request: Request, kind: type[T]) -> T:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MOST_BODY:
            raise HTTPException(413, f"a body may have {MOST_BODY} bytes")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise errors.UsageError("the request's body is not well-formed", why=str(error)) from None


def _json(value: object, status: int = 200, kind: str = "application/json") -> Response:
    return Response(msgspec.json.encode(value), status, media_type=kind)


def _problem(problem: Problem) -> Response:
    return _json(problem, problem.status, "application/problem+json")


async def _rookery_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, errors.RookeryError)
    status = _STATUS.get(error.exit_code, 409)
    return _problem(
        Problem(title=error.what, status=status, detail=error.why, hint=error.hint, exit_code=error.exit_code)
    )


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _problem(Problem(title=error.detail, status=error.status_code, exit_code=2))


async def _defect(_: Request, error: Exception) -> Response:
    _log.error("a request failed", exc_info=error)
    return _problem(
        Problem(title="the manager met a defect of its own", status=500, detail=repr(error), hint="see manager.log")
    )
