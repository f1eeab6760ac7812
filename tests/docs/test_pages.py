# SPDX-License-Identifier: Apache-2.0
"""All pages follow the rules, and the reference agrees with the code."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_agentruns import metrics
from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.transport import RequestRecord
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from airflow_provider_agentruns.run_outcome import log_status
from tests.docs.blocks import DOCS, all_blocks, blocks


def test_a_test_uses_every_block() -> None:
    assert not [f"{block} ({block.language or 'no language'})" for block in all_blocks() if not block.kind]
    assert {block.kind for block in all_blocks()} >= {"dag", "tasks", "python", "sample test", "shell", "json", "ini"}


class Counted:
    """Replaces Airflow's metrics, and records names, kinds, and tags."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[str, frozenset[str]]] = {}

    def __getattr__(self, kind: str) -> Callable[..., None]:
        words = {"incr": "counter", "timing": "timer", "gauge": "gauge"}

        def keep(name: str, *values: object, tags: dict[str, str]) -> None:
            self.seen[name.removeprefix("agentruns.")] = (words[kind], frozenset(tags))

        return keep


def metric_calls() -> Iterator[tuple[str, str, list[str | None]]]:
    """Yield the function, the name, and the tags of each call in the package that reports a metric."""
    kinds = ("metrics.count", "metrics.timing", "metrics.gauge")
    for path in Path(metrics.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and (kind := ast.unparse(call.func)) in kinds:
                names = [it.value for it in ast.walk(call.args[0]) if isinstance(it, ast.Constant)]
                for name in names:
                    yield kind.removeprefix("metrics."), str(name), [keyword.arg for keyword in call.keywords]


def test_the_reference_lists_all_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted()
    monkeypatch.setattr(metrics, "_stats", lambda: counted)
    for status in (200, 429, 500):
        metrics.request("c", _exchange(status))
    for kind, name, tags in metric_calls():
        values = () if kind == "count" else (1.0,)
        getattr(metrics, kind)(name, *values, "c", **dict.fromkeys(tags, "x"))

    listed = {}
    for line in (DOCS / "reference/metrics.md").read_text().splitlines():
        if row := re.match(r"\| `([\w.]+)` \| (\w+) \| ([^|]+) \|", line):
            listed[row[1]] = (row[2], frozenset(re.findall(r"`(\w+)`", row[3])))
    assert listed == counted.seen
    named = re.findall(r"`agentruns\.([\w.]+\w)`", (DOCS / "how-to/monitoring.md").read_text())
    assert set(named) & listed.keys() == set(named) != set()


def _exchange(status: int) -> RequestRecord:
    return RequestRecord(requests.list_agents(), throttle_delay=0.0, sent=0.0, status=status, seconds=0.1)


def test_the_reference_lists_every_method_of_the_hook() -> None:
    text = (DOCS / "reference/hook.md").read_text()
    listed = set(re.findall(r"\b\w+\b", text.split(":members:")[1]))
    own = {name for name in vars(AgentRunHook) if not name.startswith("_")}
    twins = {name for name in own if name.startswith("a") and name[1:] in own} | {"get_conn"}
    fields = {"conn_name_attr", "default_conn_name", "conn_type", "hook_name"}
    assert own - twins - fields <= listed


def test_the_log_line_on_the_page_is_real() -> None:
    [shown] = [json.loads(block.text) for block in blocks("json") if '"event"' in block.text]
    said: list[dict[str, Any]] = []

    def record(level: int, message: str, *args: object, **fields: object) -> None:
        said.append({"event": message % args, **fields})

    log_status(record, shown["agent_run_id"], shown["agent_run_status"], shown["agent_run_was"])
    assert said == [shown]
