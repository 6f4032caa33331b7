"""The control API as a Starlette application over whatever service it is handed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from rookery import errors
from rookery.web.handlers import Handlers
from rookery.web.problems import defect, http_error, rookery_error
from rookery.web.routes import ENDPOINTS
from rookery.web.streams import Streams

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from rookery.control.service import Service


def application(service: Service, streams: Streams | None = None) -> Starlette:
    """The routes of version 1 over service. streams: the event streams, for whoever is to end them."""
    handlers = Handlers(service, streams or Streams())
    served = Starlette(
        routes=[Route(one.path, getattr(handlers, one.name), methods=[one.method]) for one in ENDPOINTS],
        middleware=[Middleware(_Warned, service=service)],
        exception_handlers={errors.RookeryError: rookery_error, HTTPException: http_error, Exception: defect},
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
