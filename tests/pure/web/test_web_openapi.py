"""The OpenAPI document is about the routes that there are, and so is the reference page."""

from __future__ import annotations

import json
import os
import re

import msgspec
import pytest

from rookery.web.openapi import document
from rookery.web.routes import ENDPOINTS

PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "..", "docs", "reference", "api.md")


@pytest.fixture(scope="module")
def doc():
    return json.loads(msgspec.json.encode(document()))


def page():
    with open(PAGE, encoding="utf-8") as stream:
        return stream.read()


def refs(value):
    if isinstance(value, dict):
        yield from ([value["$ref"]] if "$ref" in value else [])
        for one in value.values():
            yield from refs(one)
    elif isinstance(value, list):
        for one in value:
            yield from refs(one)


def test_every_route_is_in_it(doc):
    described = {(method.upper(), path) for path, methods in doc["paths"].items() for method in methods}
    assert described == {(one.method, one.path) for one in ENDPOINTS}
    assert doc["openapi"].startswith("3.1")


def test_names_are_unique(doc):
    names = [operation["operationId"] for methods in doc["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))


def test_every_reference_leads_somewhere(doc):
    for ref in set(refs(doc)):
        *_, name = ref.split("/")
        assert name in doc["components"]["schemas"], ref


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: one.name)
def test_every_answer_is_documented(doc, endpoint):
    operation = doc["paths"][endpoint.path][endpoint.method.lower()]
    answers = operation["responses"]
    assert {"200", "400", "408", "431", "500", "503"} <= set(answers)
    for status, answer in answers.items():
        kinds = set(answer["content"])
        assert kinds == {"application/problem+json"} if status != "200" else kinds
    if endpoint.body is not None:
        assert operation["requestBody"]["content"]["application/json"]["schema"] == {
            "$ref": f"#/components/schemas/{endpoint.body.__name__}"
        }
        assert {"413", "422"} <= set(answers)
    assert set(re.findall(r"{(\w+)}", endpoint.path)) == {
        one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"
    }


def test_apps_are_described_though_the_message_holds_them_raw(doc):
    specs = doc["components"]["schemas"]["StartRequest"]["properties"]["specs"]
    assert specs["items"] == {"$ref": "#/components/schemas/AppSpec"}
    assert "graceful_timeout" in doc["components"]["schemas"]["AppSpec"]["properties"]


def test_the_reference_page_has_each_route_and_no_other():
    rows = re.findall(r"^\| `(GET|POST) (\S+)` \|", page(), re.MULTILINE)
    assert sorted(rows) == sorted((one.method, one.path) for one in ENDPOINTS)


def test_the_reference_page_names_each_query_parameter_and_type_of_event():
    text = page()
    for endpoint in ENDPOINTS:
        for parameter in endpoint.parameters:
            assert f"`{parameter.name}`" in text, parameter.name


def test_the_reference_page_names_each_type_of_event():
    types = re.findall(r"^\| `([a-z_]+)` \|", page().partition("## Events")[2], re.MULTILINE)
    known = ["state", "start", "adopted", "start_failed", "exit", "ready", "scale", "reset", "signal", "delete"]
    assert sorted(types) == sorted([*known, "manager", "log_full", "log_dropped", "gap"])
