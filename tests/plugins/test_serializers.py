# SPDX-License-Identifier: Apache-2.0
"""Pages get an agent's text as text that hides nothing, links to web pages only, and a bounded amount of everything."""

from __future__ import annotations

import json
from time import process_time
from typing import Any

import pytest

from airflow_provider_agentruns.client.responses import Response
from airflow_provider_agentruns.exceptions import AgentRunsResponseTooLargeError
from airflow_provider_agentruns.plugins import serializers
from airflow_provider_agentruns.plugins.serializers import parse_run

RUN = {"id": "r-1", "status": "completed"}


def shown(**fields: Any) -> dict[str, Any]:
    return parse(json.dumps({**RUN, **fields}).encode())


def parse(body: bytes) -> dict[str, Any]:
    return parse_run(Response(200, {}, body))


def shown_artifact(**fields: Any) -> dict[str, Any]:
    [artifact] = shown(output={"artifacts": [fields]})["artifacts"]
    return dict(artifact)


def test_a_failed_run_without_a_readable_reason_says_so() -> None:
    failed = shown(status="error", steps=[7])
    assert failed["failure"] == "The run ended in error and the service's description of it is not valid"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        " JaVa\nScRiPt:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "//evil.example/x",
        "https://user:password@evil.example/",
        "https://",
        7,
    ],
)
def test_only_the_url_of_a_web_page_becomes_a_link(url: Any) -> None:
    [source] = shown_artifact(title="t", sources=[{"url": url, "source_name": "Registry"}])["sources"]
    assert (source["name"], source["url"], source["host"]) == ("Registry", None, None)


def test_a_link_shows_its_host_whatever_its_name() -> None:
    named = {"url": "HTTPS://Evil.example/a b", "source_name": "registry.gov"}
    sources = shown_artifact(sources=[named, "https://a.example/x", 7])["sources"]
    assert [source["host"] for source in sources] == ["evil.example", "a.example"]
    assert sources[0]["url"] == "https://evil.example/a%20b"


def test_invisible_characters_and_those_that_reorder_text_are_removed_everywhere() -> None:
    hidden = "no\u202eevil\u202c\u200b\U000e0041 \x1b[31mx\n"
    run = shown(
        id=hidden,
        status=hidden,
        agent=hidden,
        requester={"name": hidden},
        interrupts=[{"id": hidden, "agent": hidden, "value": {"label": hidden}}],
        steps=[{"label": hidden, "name": hidden, "agent": hidden, "result": {"resolution": hidden}}],
        output={"artifacts": [{"title": hidden, "summary": hidden, "type": hidden, hidden: {"deep": [hidden]},
                               "sources": [{"url": "x", "source_name": hidden, "source_tier": hidden}]}]},
    )  # fmt: skip
    text = json.dumps(run, ensure_ascii=False)
    assert not set("\u202e\u202c\u200b\U000e0041\x1b") & set(text)
    assert text.count("noevil") >= 15


@pytest.mark.parametrize("wrong", [None, 7, "text", {}, {"a": 1}, [], [None, 7, "text", [], [[]]]])
def test_a_field_with_an_unexpected_type_counts_as_missing(wrong: Any) -> None:
    artifact = {"title": wrong, "sources": wrong, "summary": wrong}
    run = shown(steps=wrong, interrupts=wrong, output=wrong, requester=wrong, agent=wrong, started_at=wrong)
    assert (run["id"], run["artifacts"], run["started_at"]) == ("r-1", [], None)
    run = shown(
        steps=[{"steps": wrong, "artifacts": wrong, "result": wrong, "label": wrong}],
        interrupts=[{"id": wrong, "value": wrong}],
        output={"artifacts": [artifact]},
    )
    assert [len(run[name]) for name in ("steps", "interrupts", "artifacts")] == [1, 1, 1]
    assert shown(id=wrong, status=wrong)["finished"] is False


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b"\xff", b"[" * 100_000, b'{"a":' * 100_000])
def test_a_response_that_is_no_run_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(body)


def test_the_fields_of_an_artifact_are_readable_and_bounded() -> None:
    artifact = shown_artifact(title="x" * 1_000, summary="y" * 9_000, filing={"state": "Delaware"}, big=[7] * 10_000)
    assert (len(artifact["title"]), artifact["title"][-1], artifact["summary"][-1]) == (300, "…", "…")
    assert '\n    "state": "Delaware"' in artifact["details"]
    assert len(artifact["details"]) < 5_000
    assert shown_artifact(title="t")["details"] is None


@pytest.mark.parametrize("steps", ["{}," * 1_000_000, '{"steps":[{}]},' * 200_000])
def test_a_response_with_too_many_values_is_not_parsed(steps: str) -> None:
    body = f'{{"id":"r-1","status":"completed","steps":[{steps}{{}}]}}'.encode()
    used = process_time()
    with pytest.raises(AgentRunsResponseTooLargeError):
        parse(body)
    assert process_time() - used < 1


@pytest.mark.parametrize(
    "fields",
    [
        {"steps": [{"steps": [{}]} for _ in range(70_000)]},
        {"output": {"artifacts": [{"summary": "x\n" * 2_000_000, "more": [[[""] * 100] * 100] * 25}]}},
        {"interrupts": [{"id": "i", "value": {"proposals": [{"label": "x" * 10}] * 100_000}}]},
    ],
)
def test_a_large_run_takes_little_time_and_becomes_a_small_page(fields: dict[str, Any]) -> None:
    body = json.dumps({**RUN, **fields}, separators=(",", ":")).encode()
    used = process_time()
    page = json.dumps(parse(body))
    assert process_time() - used < 3
    assert len(page) < 300_000


def test_a_page_counts_what_it_does_not_show() -> None:
    run = shown(
        output={"artifacts": [{"title": str(n), "sources": [{"url": "https://a.example"}] * 40} for n in range(150)]},
        interrupts=[{"id": str(n), "value": None} for n in range(60)],
        steps=[{"label": "outer", "steps": [{"label": str(n)} for n in range(600)]}, {"label": "last"}],
    )
    assert (len(run["artifacts"]), run["more_artifacts"]) == (serializers.MAX_ARTIFACTS, 50)
    assert (len(run["artifacts"][0]["sources"]), run["artifacts"][0]["more_sources"]) == (serializers.MAX_SOURCES, 10)
    assert (len(run["interrupts"]), run["more_interrupts"]) == (serializers.MAX_INTERRUPTS, 10)
    count = sum(1 for step in run["steps"] for _ in [step, *step["steps"]])
    assert (count, run["more_steps"]) == (serializers.MAX_STEPS, 602 - serializers.MAX_STEPS)


def test_steps_that_are_nested_too_deeply_are_counted() -> None:
    step: dict[str, Any] = {"label": "12"}
    for depth in range(11, 0, -1):
        step = {"label": str(depth), "steps": [step]}
    run = shown(steps=[step])
    [at] = run["steps"]
    for _ in range(serializers.MAX_DEPTH - 1):
        [at] = at["steps"]
    assert (at["label"], at["steps"], run["more_steps"]) == ("8", [], 4)


@pytest.mark.parametrize(("time", "shown_time"), [("2026-01-31T12:00:00", "2026-01-31T12:00:00+00:00"), ("soon", None)])
def test_times_are_iso_8601_with_a_time_zone(time: str, shown_time: str | None) -> None:
    assert shown(created_at=time)["created_at"] == shown_time
