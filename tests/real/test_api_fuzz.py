"""Whatever is sent: no defect, and no answer that the OpenAPI document does not tell of."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from served import BriskHost, Served, ShortStreams

from rookery.apps import accept, scaling

pytestmark = pytest.mark.real

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
)


@pytest.mark.timeout(300)
def test_no_defect_and_no_undocumented_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "MOST_INSTANCES", 20)  # thousands on paper are no better than twenty
    monkeypatch.setattr(accept, "MOST_INSTANCES", 20)
    with Served(host=BriskHost, streams=ShortStreams) as served:
        command = [
            os.path.join(os.path.dirname(sys.executable), "schemathesis"),
            *("run", f"http://127.0.0.1:{served.port}/v1/openapi.json"),
            *("--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"),
            *("--max-examples", os.environ.get("ROOKERY_FUZZ_EXAMPLES", "25")),
            *("--seed", os.environ.get("ROOKERY_FUZZ_SEED", "1")),
            *("--request-timeout", "20", "--continue-on-failure", "--warnings", "off", "--no-shrink"),
        ]
        ran = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False,
            env={**os.environ, "NO_COLOR": "1"},
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout[-12000:] + ran.stderr[-3000:]
        assert "No issues found" in ran.stdout, ran.stdout[-3000:]
        assert served.told >= {"start", "exit", "scale", "signal", "reset", "delete", "manager"}, "it did not get far"
