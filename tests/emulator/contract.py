# SPDX-License-Identifier: Apache-2.0
"""An HTTP client that checks every response against the contract."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Generator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import yaml
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.validators import validator_for

from airflow_provider_agentruns.emulator.server import Emulator

CONTRACT: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "contract.yaml").read_text())

BUSINESS_ID = "6f9619ff-8b86-4011-b42d-00c04fc964ff"

# The contract describes it in words only.
_THREAD_LIST = json.loads(json.dumps(CONTRACT["components"]["schemas"]["RunList"]).replace("/Run", "/Thread"))

_formats = FormatChecker(["uuid"])


@_formats.checks("date-time")
def _is_instant(value: object) -> bool:
    form = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
    return not isinstance(value, str) or bool(form.fullmatch(value) and datetime.fromisoformat(value))


class Client(httpx.Client):
    """A client of the service with a valid token, or with the given headers."""

    def __init__(self, emulator: Emulator, **options: Any) -> None:
        headers = {"Authorization": f"Bearer {emulator.token}"}
        super().__init__(
            base_url=emulator.url,
            timeout=10,
            event_hooks={"response": [_check_answer]},
            **{"headers": headers, **options},
        )

    def start(self, agent: str, **fields: Any) -> Any:
        about = {} if fields else {"business_id": BUSINESS_ID}
        answer = self.post("/v1/runs", json={"type": agent, **about, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def run(self, run_id: str) -> Any:
        return self.get(f"/v1/runs/{run_id}", params={"include": "steps"}).json()

    def resume(self, run_id: str, interrupt_id: str, answer: Any) -> httpx.Response:
        return self.post(f"/v1/runs/{run_id}/resume", json={"interrupt_id": interrupt_id, "input": answer})

    def follow(self, run_id: str) -> Generator[Any, None, None]:
        with self.stream("GET", f"/v1/runs/{run_id}/stream") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            kind = ""
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    event = json.loads(value)
                    assert event["type"] == kind
                    assert event["run_id"] == run_id
                    check({"$ref": "#/components/schemas/Run"}, event["snapshot"])
                    yield event


def check(schema: dict[str, Any], value: Any) -> None:
    problems = [f"{error.json_path}: {error.message}" for error in _validator(json.dumps(schema)).iter_errors(value)]
    assert not problems, problems


def error_of(answer: httpx.Response, status: int) -> Any:
    assert answer.status_code == status, answer.text
    [error] = answer.json()["errors"]
    return error


def labels(steps: list[Any]) -> list[str]:
    """Return the labels of steps and of their inner steps, indented."""
    return [label for step in steps for label in (step["label"], *(f"  {inner}" for inner in labels(step["steps"])))]


def _check_answer(answer: httpx.Response) -> None:
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        return
    assert answer.headers["date"]
    answer.read()
    check(_schema(answer.request.method, answer.request.url.path, answer.status_code), answer.json())


def _schema(method: str, path: str, status: int) -> dict[str, Any]:
    if status >= 400:
        # The contract does not list every status for each operation, but all errors have the same form.
        return {"$ref": "#/components/schemas/Errors"}
    if (method, path) == ("GET", "/v1/threads"):
        return _THREAD_LIST
    template = next(t for t in CONTRACT["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", t), path))
    response = CONTRACT["paths"][template][method.lower()]["responses"][str(status)]
    schema: dict[str, Any] = response["content"]["application/json"]["schema"]
    return schema


@functools.cache
def _validator(schema: str) -> Draft202012Validator:
    whole = {**json.loads(schema), "components": CONTRACT["components"]}
    assert validator_for(whole, default=Draft202012Validator) is Draft202012Validator
    return Draft202012Validator(whole, format_checker=_formats)
