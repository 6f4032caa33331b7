"""The OpenAPI 3.1 document, made from the table of routes and the messages."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from rookery import __version__
from rookery.config.spec import AppSpec  # what StartRequest.specs holds, undecoded
from rookery.control.messages import Problem
from rookery.web.problems import PROBLEM
from rookery.web.routes import ENDPOINTS
from rookery.web.streams import EVENT_STREAM

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rookery.web.routes import Endpoint, Parameter

_ALWAYS = (400, 408, 431, 500, 503)
_MEANING = {
    400: "no request of HTTP, or one that makes no sense",
    403: "not over this connection",
    404: "nothing matched",
    408: "the request did not come whole in time",
    409: "it was tried and failed, or cannot be now",
    413: "the body is too large",
    422: "the request is wrong; nothing was done",
    431: "the header is too large",
    500: "a defect of the manager",
    503: "too many connections or streams; try again",
}
_REF = "#/components/schemas/{name}"
_APPLY = {
    "specs": [{"name": "web", "command": ["/usr/bin/python3", "web.py"], "cwd": "/", "instances": 2}],
    "base_env": {"PATH": "/usr/bin:/bin"},
}
_WARNING = {
    "description": "What everybody should know who asks anything, such as a full disk.",
    "schema": {"type": "string"},
}


def document(endpoints: Iterable[Endpoint] = ENDPOINTS) -> dict[str, Any]:
    """The whole document."""
    endpoints = tuple(endpoints)
    kinds = _kinds(endpoints)
    schemas, components = msgspec.json.schema_components(kinds, schema_hook=_anything, ref_template=_REF)
    by_kind = dict(zip(map(repr, kinds), schemas, strict=True))
    components["StartRequest"]["properties"]["specs"]["items"] = {"$ref": _REF.format(name="AppSpec")}
    components["StartRequest"]["examples"] = [_APPLY]
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, by_kind)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "rookery",
            "version": __version__,
            "description": "The control API of the manager, on its Unix socket. docs/reference/api.md tells more.",
        },
        "paths": paths,
        "components": {"schemas": components},
    }


def _anything(kind: type) -> dict[str, Any]:
    if kind is object:
        return {"description": "any JSON"}
    raise NotImplementedError(kind)


def _kinds(endpoints: Iterable[Endpoint]) -> list[Any]:
    kinds: list[Any] = [Problem, AppSpec]
    for endpoint in endpoints:
        kinds += [parameter.kind for parameter in endpoint.parameters]
        kinds += [kind for kind in (endpoint.answer, endpoint.body, endpoint.event) if kind is not None]
    return list({repr(kind): kind for kind in kinds}.values())


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if endpoint.answer is not None:
        content["application/json"] = {"schema": schemas[repr(endpoint.answer)]}
    if endpoint.event is not None:  # 3.1 has no word for what an event holds
        content[EVENT_STREAM] = {"x-event-data": schemas[repr(endpoint.event)]}
    answers: dict[str, Any] = {
        "200": {"description": "done", "content": content, "headers": {"Rookery-Warning": _WARNING}}
    }
    for status in sorted({*_ALWAYS, *endpoint.fails}):
        answers[str(status)] = {
            "description": f"{HTTPStatus(status).phrase}: {_MEANING[status]}",
            "content": {PROBLEM: {"schema": schemas[repr(Problem)]}},
        }
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "responses": answers,
    }
    if endpoint.parameters:
        operation["parameters"] = [_parameter(one, schemas) for one in endpoint.parameters]
    if endpoint.body is not None:
        body = {"application/json": {"schema": schemas[repr(endpoint.body)]}}
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _parameter(one: Parameter, schemas: dict[str, Any]) -> dict[str, Any]:
    schema = dict(schemas[repr(one.kind)])
    if one.pattern:
        schema["pattern"] = one.pattern
    return {
        "name": one.name,
        "in": one.where,
        "required": one.where == "path",
        "description": one.text,
        "schema": schema,
    }
