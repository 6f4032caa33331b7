"""Errors as application/problem+json."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from rookery import errors
from rookery.control.messages import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

PROBLEM = "application/problem+json"
_STATUS = {1: 409, 2: 422, 3: 404, 5: 504}
_log = logging.getLogger(__name__)


def problem(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that says what is wrong."""
    return Response(msgspec.json.encode(problem), problem.status, headers, media_type=PROBLEM)


async def rookery_error(_: Request, error: Exception) -> Response:
    """An error of ours; its exit code decides on the status."""
    assert isinstance(error, errors.RookeryError)
    status = _STATUS.get(error.exit_code, 409)
    return problem(
        Problem(title=error.what, status=status, detail=error.why, hint=error.hint, exit_code=error.exit_code)
    )


async def http_error(_: Request, error: Exception) -> Response:
    """An error of HTTP: no such path, another method, too large."""
    assert isinstance(error, HTTPException)
    return problem(Problem(title=error.detail, status=error.status_code, exit_code=2), error.headers)


async def defect(_: Request, error: Exception) -> Response:
    """Anything else. The traceback goes to the log, not to the caller."""
    _log.error("a request failed", exc_info=error)
    return problem(
        Problem(title="the manager met a defect of its own", status=500, detail=repr(error), hint="see manager.log")
    )
