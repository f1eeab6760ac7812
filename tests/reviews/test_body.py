# SPDX-License-Identifier: Apache-2.0
"""What a person sees of an interrupt: what matters at a glance, whatever the agent sent."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest

from airflow_provider_agentruns.models import Interrupt
from airflow_provider_agentruns.reviews.body import BODY_LENGTH, SUBJECT_LENGTH, body, subject
from airflow_provider_agentruns.reviews.text import CUT
from tests.reviews.rendering import kinds, links, shown
from tests.reviews.test_text import HOSTILE

PAGE = "https://app.example/runs/r-1"

REGISTRATION = {
    "title": "Registration",
    "confidence": "high",
    "summary": "Cedar Foods LLC is registered in Oregon and active.",
    "sources": [
        {
            "url": "https://registry.example.com/filings/20417",
            "source_name": "State registry",
            "source_tier": "primary",
        }
    ],
    "filing": {"file_number": "20417", "active": True},
}
OWNERS = {
    "title": "Owners",
    "sources": [],
    "owners": [{"name": "Mei Tanaka", "percent": 86}, {"name": "Luis Ortega", "percent": None}],
}
COMBINED = {
    "type": "combined_proposal",
    "agent": "cip_orchestrator",
    "label": "Shall these changes be made?",
    "proposals": [
        {"agent": "registry_agent", "label": "Take it over?", "artifacts": [REGISTRATION]},
        {"label": "And this?", "artifacts": [OWNERS]},
    ],
}


def asks(value: Any, **fields: Any) -> Interrupt:
    return Interrupt.model_validate({"id": "i-1", "value": value, **fields})


def body_of(value: Any, **fields: Any) -> str:
    return body(asks(value, **fields), run_id="r-1")


def test_a_combined_proposal_is_shown_section_by_section() -> None:
    assert body(asks(COMBINED), run_id="r-1", run_page=PAGE).split("\n") == [
        f"Asked by **cip\\_orchestrator** · run [r-1]({PAGE}) (app.example)",
        "",
        "- **type:** combined\\_proposal",
        "",
        "**One answer covers all 2 proposals.**",
        "",
        "## Proposal 1 of 2: Take it over?",
        "",
        "- **agent:** registry\\_agent",
        "",
        "### Artifact 1 of 1: Registration",
        "",
        "Cedar Foods LLC is registered in Oregon and active.",
        "",
        "- **sources:**",
        "  - [State registry](https://registry.example.com/filings/20417) (registry.example.com)",
        "    - **source tier:** primary",
        "- **confidence:** high",
        "- **filing:**",
        "  - **file number:** 20417",
        "  - **active:** yes",
        "",
        "## Proposal 2 of 2: And this?",
        "",
        "### Artifact 1 of 1: Owners",
        "",
        "- **sources:** (empty)",
        "- **owners:**",
        "  - **name:** Mei Tanaka · **percent:** 86",
        "  - **name:** Luis Ortega · **percent:** none",
    ]


def test_a_label_that_the_subject_does_not_show_exactly_is_quoted() -> None:
    assert ">" not in body_of({"label": "Right?"})
    assert "\n> Is this \\*right\\*?" in body_of({"label": "Is this *right*?"})
    assert f"\n> {'a' * 161}" in body_of({"label": "a" * 161})
    assert "\n> one  \n> two" in body_of({"label": "one\ntwo " + "a" * SUBJECT_LENGTH})


def test_the_schema_of_the_answer_is_left_to_the_form() -> None:
    schema = {"type": "object", "properties": {"note": {"type": "string"}}}
    assert "note" not in body_of({"label": "Right?", "input_schema": schema})
    assert "**input schema:** v2" in body_of({"label": "Right?", "input_schema": "v2"})


def test_values_are_written_as_people_write_them() -> None:
    value = {
        "rate": 0.25,
        "empty": [{}, "", None],
        "mixed": [1, [2, 3], {"a": {"b": 1}}],
        "address": "17 Harbor Street\nSuite 4\n\nSalem",
        "__": True,
    }
    markdown = body_of(value)
    assert markdown.split("\n")[2:] == [
        "- **rate:** 0.25",
        "- **empty:**",
        "  - (empty)",
        "  - (empty)",
        "  - none",
        "- **mixed:**",
        "  - 1",
        "  - **list:**",
        "    - 2",
        "    - 3",
        "  - **object:**",
        "    - **a:**",
        "      - **b:** 1",
        "- **address:** 17 Harbor Street  ",
        "  Suite 4",
        "  Salem",
        "- **(no name):** yes",
    ]
    assert kinds(markdown).count("bullet_list_open") == 6


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("Please *approve*", "Please *approve*"),
        (None, "none"),
        (True, "yes"),
        ([], "(empty)"),
        ({}, ""),
        ({"label": ["Right?"], "artifacts": "all"}, "label: Right? artifacts: all"),
        ({"label": None, "agent": {"name": "x"}}, "label: none agent: name: x"),
        ({"artifacts": ["a", None]}, "Artifact 1 of 2 a Artifact 2 of 2 none"),
        ({"artifacts": [{"title": ["t"], "summary": {"s": 1}}]}, "Artifact 1 of 1 title: t summary: s: 1"),
        ({"artifacts": [{"sources": ["web", None, {}]}]}, "Artifact 1 of 1 sources: web none (empty)"),
        ({"artifacts": [{"sources": [{"url": "ftp://x", "source_name": "X"}]}]}, "Artifact 1 of 1 sources: X ftp://x"),
        ({"artifacts": [{"sources": [{"url": ["u"]}]}]}, "Artifact 1 of 1 sources: object: url: u"),
        ({"proposals": [{"artifacts": "x", "label": {}}]}, "Proposal 1 of 1 artifacts: x label: (empty)"),
        ({"label": "\u200b", "agent": "\u200b"}, "(empty)"),
    ],
)
def test_unexpected_shapes_are_shown_as_they_are(value: Any, seen: str) -> None:
    interrupt = Interrupt.model_construct(id="i-1", agent=None, value=value)
    first, _, rest = shown(body(interrupt, run_id="r-1")).partition("run r-1")
    assert first.startswith("Asked by an agent without a name ·")
    assert rest.strip() == seen
    assert subject(interrupt)


def test_no_text_of_an_agent_changes_the_layout() -> None:
    fields = {"a key": "v", "list": ["x", {"k": "v", "deep": {"k": "v"}}]}
    harmless: dict[str, Any] = copy.deepcopy({**COMBINED, **fields})
    harmless["proposals"][0]["artifacts"][0].update(fields)

    def with_each(value: Any, text: str) -> Any:
        if isinstance(value, dict):
            return {key if key in KNOWN else f"{key} {text}": with_each(part, text) for key, part in value.items()}
        if isinstance(value, list):
            return [with_each(part, text) for part in value]
        if isinstance(value, str) and not value.startswith("https:"):
            return f"{text} {value} {text}"
        return value

    def layout(markdown: str) -> list[str]:
        # A label that the subject does not show exactly is quoted once.
        found = kinds(markdown)
        assert found.count("blockquote_open") <= 1
        return [kind for kind in found if not kind.startswith(("paragraph", "blockquote"))]

    reference = layout(body_of(harmless))
    for text in HOSTILE:
        markdown = body_of(with_each(harmless, text))
        assert layout(markdown) == reference, text
        # Harmless in HTML, too, where a notifier can put it.
        assert "<" not in markdown, text
        assert links(markdown) == ["https://registry.example.com/filings/20417"], text


KNOWN = {
    *("agent", "label", "artifacts", "proposals", "title", "summary", "sources", "url", "source_name"),
}


def test_what_is_cut_is_marked_and_the_end_says_where_to_find_it() -> None:
    markdown = body(asks({"label": "Right?", "note": "word " * 2_000}), run_id="r-1", run_page=PAGE)
    note = f"**Some parts are cut.** Find the complete question in run [r-1]({PAGE}) (app.example)"
    assert markdown.endswith(f"word{CUT}\n\n---\n\n{note}")
    deep = body_of({"a": {"b": {"c": {"d": {"e": {"f": 1, "g": 2}, "h": 3}}}}})
    assert f"- **e:** {CUT}" in deep
    assert "Some parts are cut" in deep
    wide = body_of({f"k{number}": number for number in range(1_000)})
    assert f"- **k49:** 49\n- and 950 more {CUT}\n" in wide
    assert "k50" not in wide
    assert f"  - 49\n  - and 10 more {CUT}\n" in body_of({"numbers": list(range(60))})
    assert CUT not in body_of({"numbers": list(range(50))})


def test_a_body_has_a_maximum_length_and_is_cut_between_lines() -> None:
    artifacts = [{"title": f"Number {number}", "summary": "*" * 50} for number in range(1_000)]
    markdown = body(asks({"label": "Right?", "artifacts": artifacts}), run_id="r-1", run_page=PAGE)
    assert BODY_LENGTH - 600 < len(markdown) <= BODY_LENGTH
    assert set(markdown.split("\n")[2:-6]) < {
        line
        for number in range(1_000)
        for line in ("", f"### Artifact {number + 1:,} of 1,000: Number {number}", "\\*" * 50)
    }
    long_id = body(asks({"artifacts": artifacts}), run_id="*" * 5_000, run_page=f"{PAGE}/{'a' * 1_900}")
    assert len(long_id) <= BODY_LENGTH
    unsafe = body(asks({"label": "x"}), run_id="*r*", run_page="javascript:alert(1)")
    assert links(unsafe) == []
    assert shown(unsafe).startswith("Asked by an agent without a name · run *r*")


def nested(key: str = "") -> Any:
    value: Any = "x"
    for _ in range(10_000):
        value = {key: value} if key else [value]
    return value


EXTREMES: dict[str, Any] = {
    "long text": {"label": "Right?", "note": "x y" * 3_400_000},
    "many fields": {f"k{number}": number for number in range(300_000)},
    "many artifacts": {"artifacts": [{"title": "t", "sources": [{"url": "https://ok.example/"}] * 900}] * 200_000},
    "long address": {"artifacts": [{"sources": [{"url": "https://ok.example/" + "a" * 10_000_000}]}]},
    "long name": {"k_" * 5_000_000: 1},
    "deep everywhere": {
        **{key: nested() for key in ("label", "agent", "type", "proposals", "input_schema", "note")},
        "artifacts": [nested("k"), {"title": nested(), "sources": nested("k")}],
    },
}


@pytest.mark.parametrize("name", EXTREMES)
def test_size_and_depth_cost_no_time(name: str) -> None:
    interrupt = asks(EXTREMES[name])
    started = time.perf_counter()
    question, markdown = subject(interrupt), body(interrupt, run_id="r-1", run_page=PAGE)
    assert time.perf_counter() - started < 2
    assert 0 < len(question) <= SUBJECT_LENGTH + 10
    assert len(markdown) <= BODY_LENGTH
    assert name == "long address" or "Some parts are cut" in markdown


def test_the_subject_is_one_plain_line() -> None:
    assert subject(asks({"label": "Is <b>this</b>\n\nok?\u202e"})) == "Is ‹b›this‹/b› ok?"  # noqa: RUF001
    assert subject(asks(COMBINED)) == "Shall these changes be made?"
    assert subject(asks({"proposals": [{"label": "One?"}, {"label": "Two?"}]})) == "One?; Two?"
    assert subject(asks({"label": "\u200b"})) == subject(asks(None)) == "interrupt i-1"
    assert subject(asks({"label": "word " * 100})).endswith("word…")
