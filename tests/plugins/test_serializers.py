# SPDX-License-Identifier: Apache-2.0
"""What an agent wrote comes to a page as text that hides nothing, and as links that lead to web pages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_agentruns.models import AgentRun
from airflow_provider_agentruns.plugins import serializers

RUN = {"id": "r-1", "status": "completed"}


def show(**fields: Any) -> dict[str, Any]:
    """Return what is shown of a run with some fields."""
    return serializers.serialize_run(AgentRun.model_validate_json(json.dumps({**RUN, **fields})))


def artifact(**fields: Any) -> dict[str, Any]:
    """Return what is shown of an artifact."""
    [one] = show(output={"artifacts": [fields]})["artifacts"]
    return dict(one)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:msgbox(1)",
        "file:///etc/passwd",
        "//evil.example/x",
        "/relative",
        "https://user:password@evil.example/",
        "https://",
        "",
        7,
        None,
    ],
)
def test_an_address_that_is_none_of_a_web_page_is_no_link(url: Any) -> None:
    [source] = artifact(title="t", sources=[{"url": url, "source_name": "Registry"}])["sources"]
    assert (source["name"], source["url"], source["host"]) == ("Registry", None, None)


def test_a_link_says_where_it_leads_whatever_it_is_called() -> None:
    [source] = artifact(sources=[{"url": "HTTPS://Evil.example/a b", "source_name": "registry.gov"}])["sources"]
    assert (source["url"], source["host"]) == ("https://evil.example/a%20b", "evil.example")


@pytest.mark.parametrize("sources", [None, "https://a.example", {"url": "https://a.example"}, [], 7])
def test_sources_that_are_no_list_are_none(sources: Any) -> None:
    assert artifact(title="t", sources=sources)["sources"] == []


def test_what_cannot_be_seen_or_turns_text_around_is_taken_out_everywhere() -> None:
    hidden = "no\u202eevil\u202c\u200b\U000e0041 x"
    run = show(
        agent=hidden,
        requester={"name": hidden},
        interrupts=[{"id": "i", "agent": hidden, "value": {"label": hidden}}],
        steps=[{"label": hidden, "name": hidden, "agent": hidden, "result": {"resolution": hidden}}],
        output={"artifacts": [{"title": hidden, "summary": hidden, "type": hidden, hidden: {"deep": [hidden]},
                               "sources": [{"url": "x", "source_name": hidden, "source_tier": hidden}]}]},
    )  # fmt: skip
    text = json.dumps(run, ensure_ascii=False)
    assert not set("\u202e\u202c\u200b\U000e0041") & set(text)
    assert text.count("noevil x") >= 12


def test_the_artifacts_own_fields_are_readable_and_bounded() -> None:
    one = artifact(title="t", filing={"state": "Delaware", "number": 20417}, big=list(range(10_000)))
    assert '"state": "Delaware"' in one["details"]
    assert len(one["details"]) < 5_000
    assert artifact(title="t")["details"] is None


def test_what_is_cut_anyway_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of megabytes must not hold up all else that the API server does."""
    cleaned: list[int] = []
    monkeypatch.setattr(serializers, "clean", lambda text: cleaned.append(len(text)) or text)
    more = {str(number): {str(inner): ["x" * 1_000] * 20 for inner in range(30)} for number in range(30)}
    assert len(artifact(title="t", more=more)["details"]) < 5_000
    assert sum(cleaned) < 50_000
    cleaned.clear()
    assert len(artifact(title="t", more=[[[""] * 100] * 100] * 30)["details"]) < 5_000
    assert len(cleaned) < 10_000


def test_more_than_anybody_reads_is_counted_and_not_shown() -> None:
    run = show(
        output={"artifacts": [{"title": str(n), "sources": [{"url": "https://a.example"}] * 40} for n in range(150)]},
        interrupts=[{"id": str(n), "value": None} for n in range(60)],
        steps=[{"label": "outer", "steps": [{"label": str(n)} for n in range(600)]}, {"label": "last"}],
    )
    assert (len(run["artifacts"]), run["more_artifacts"]) == (serializers.MOST_ARTIFACTS, 50)
    assert (len(run["artifacts"][0]["sources"]), run["artifacts"][0]["more_sources"]) == (serializers.MOST_SOURCES, 10)
    assert (len(run["interrupts"]), run["more_interrupts"]) == (serializers.MOST_INTERRUPTS, 10)
    count = sum(1 for step in run["steps"] for _ in [step, *step["steps"]])
    assert (count, run["more_steps"]) == (serializers.MOST_STEPS, 602 - serializers.MOST_STEPS)


def test_steps_that_lie_too_deep_stand_beside_the_deepest() -> None:
    step: dict[str, Any] = {"label": "12"}
    for depth in range(11, 0, -1):
        step = {"label": str(depth), "steps": [step]}
    [at] = show(steps=[step])["steps"]
    for _ in range(serializers.DEEPEST - 2):
        [at] = at["steps"]
    assert [step["label"] for step in at["steps"]] == ["8", "9", "10", "11", "12"]
    assert all(step["steps"] == [] for step in at["steps"])


@pytest.mark.parametrize(
    "fields",
    [{"steps": None}, {"output": None}, {"interrupts": None}, {"steps": [{}]}, {"output": {"artifacts": [{}]}}],
)
def test_what_the_service_leaves_out_is_left_out(fields: dict[str, Any]) -> None:
    run = show(**fields)
    assert run["id"] == "r-1"
    assert [step["label"] for step in run["steps"]] == ["Step without a name"] * len(fields.get("steps") or ())


def test_long_text_is_cut_and_says_so() -> None:
    one = artifact(title="x" * 1_000, summary="y" * 100_000)
    assert (one["title"][-1], one["summary"][-1]) == ("…", "…")
    assert len(one["title"]) <= 300
    assert len(one["summary"]) <= 4_001
