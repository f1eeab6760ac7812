# SPDX-License-Identifier: Apache-2.0
"""What a person sees of an interrupt: everything that matters, at a glance, whatever the agent sent."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest

from airflow_provider_agentruns.models import Interrupt
from airflow_provider_agentruns.reviews.body import BODY_LENGTH, SUBJECT_LENGTH, body, subject
from tests.reviews.rendering import kinds, links, shown
from tests.reviews.test_text import HOSTILE

PAGE = "https://app.example/runs/r-1"

REGISTRATION = {
    "title": "Registration",
    "type": "registration_review",
    "confidence": "high",
    "summary": "Cedar Foods LLC is registered in Oregon and active.",
    "sources": [
        {
            "url": "https://registry.example.com/filings/20417",
            "source_name": "State registry",
            "source_tier": "primary",
            "source_type": "government",
        }
    ],
    "filing": {"state": "Oregon", "file_number": "20417", "active": True, "closed_at": None},
    "agent": "registry_agent",
}
OWNERS = {
    "title": "Owners",
    "type": "ownership_review",
    "confidence": None,
    "sources": [],
    "owners": [{"name": "Mei Tanaka", "percent": 86}, {"name": "Luis Ortega", "percent": 14}],
}
COMBINED = {
    "type": "combined_proposal",
    "agent": "cip_orchestrator",
    "label": "Shall these changes be made?",
    "proposals": [
        {"type": "proposal", "agent": "registry_agent", "label": "Take it over?", "artifacts": [REGISTRATION]},
        {"type": "proposal", "agent": "ownership_agent", "label": "And this?", "artifacts": [OWNERS], "round": 2},
    ],
}


def asks(value: Any, **fields: Any) -> Interrupt:
    """Return an interrupt with that value."""
    return Interrupt.model_validate({"id": "i-1", "value": value, **fields})


def body_of(value: Any, **fields: Any) -> str:
    """Return the body for an interrupt with that value."""
    return body(asks(value, **fields), run_id="r-1")


def test_a_combined_proposal_is_laid_out_one_by_one() -> None:
    assert body(asks(COMBINED), run_id="r-1", run_page=PAGE).split("\n") == [
        f"Asked by **cip\\_orchestrator** · run [r-1](<{PAGE}>) (app.example)",
        "",
        "## Proposal 1 of 2: Take it over?",
        "",
        "By **registry\\_agent**",
        "",
        "### Registration",
        "",
        "**Confidence: high** · registration review",
        "",
        "Cedar Foods LLC is registered in Oregon and active.",
        "",
        "- **sources:**",
        "  - [State registry](<https://registry.example.com/filings/20417>) (registry.example.com) "
        "\\[primary, government\\]",
        "- **filing:**",
        "  - **state:** Oregon",
        "  - **file number:** 20417",
        "  - **active:** yes",
        "  - **closed at:** none",
        "",
        "## Proposal 2 of 2: And this?",
        "",
        "By **ownership\\_agent**",
        "",
        "### Owners",
        "",
        "ownership review",
        "",
        "- **sources:** (empty)",
        "- **owners:**",
        "  1. **name:** Mei Tanaka · **percent:** 86",
        "  2. **name:** Luis Ortega · **percent:** 14",
        "",
        "### Further details",
        "",
        "- **round:** 2",
    ]


def test_a_plain_question_shows_its_artifacts_and_then_the_rest() -> None:
    value = {
        "agent": "a",
        "label": "Right?",
        "type": "document_upload",
        "artifacts": [OWNERS],
        "due_date": "2026-01-31",
    }
    markdown = body_of(value)
    assert markdown.startswith("Asked by **a** · document upload · run r-1\n\n### Owners\n")
    assert markdown.endswith("\n\n### Further details\n\n- **due date:** 2026-01-31")


def test_what_stands_beside_the_proposals_does_not_seem_part_of_the_last_one() -> None:
    markdown = body_of({"proposals": [{"label": "One?"}], "artifacts": [{"title": "t"}], "due": 3})
    assert markdown.endswith(
        "## Proposal 1 of 1: One?\n\n## Besides the proposals\n\n### t\n\n### Further details\n\n- **due:** 3"
    )


def test_without_artifacts_the_fields_stand_below_the_question() -> None:
    assert body_of({"label": "Right?", "due": 3}, agent="b") == "Asked by **b** · run r-1\n\n- **due:** 3"


def test_the_schema_of_the_answer_is_left_to_the_form_and_another_is_not_lost() -> None:
    schema = {"type": "object", "properties": {"note": {"type": "string"}}}
    assert "note" not in body_of({"label": "Right?", "input_schema": schema})
    assert "- **schema:** v2" in body_of({"label": "Right?", "input_schema": schema, "schema": "v2"})
    assert "**other:** 1" in body_of({"label": "Right?", "input_schema": schema, "schema": {"other": 1}})


def test_an_agent_that_differs_from_the_one_named_is_shown() -> None:
    markdown = body_of(
        {"agent": "other", "label": "Right?", "artifacts": [{"title": "t", "agent": "third"}]}, agent="one"
    )
    assert "Asked by **one**" in markdown
    assert "- **agent:** other" in markdown
    assert "- **agent:** third" in markdown


def test_values_are_written_as_people_write_them() -> None:
    value = {
        "number": 12345678901234567890123,
        "rate": 0.25,
        "empty": [{}, [], "", None],
        "names": ["Ada", "Bo"],
        "mixed": [1, [2, 3], {"a": {"b": 1}}],
        "address": "17 Harbor Street\nSuite 4\n\nSalem",
        "__": True,
    }
    assert body_of(value).split("\n")[2:] == [
        "- **number:** 12345678901234567890123",
        "- **rate:** 0.25",
        "- **empty:**",
        "  1. (empty)",
        "  2. (empty)",
        "  3. (empty)",
        "  4. none",
        "- **names:**",
        "  - Ada",
        "  - Bo",
        "- **mixed:**",
        "  1. 1",
        "  2. - 2",
        "     - 3",
        "  3. - **a:**",
        "       - **b:** 1",
        "- **address:** 17 Harbor Street  ",
        "  Suite 4  ",
        "  Salem",
        "- **(no name):** yes",
    ]


def test_lists_inside_lists_are_rendered_as_such() -> None:
    markdown = body_of({"mixed": [[1, [2]], {"a": {"b": 1}}], "owners": [{"name": "x"}], "last": 1})
    assert kinds(markdown).count("ordered_list_open") == 3
    assert kinds(markdown).count("bullet_list_open") == 4
    assert shown(markdown).endswith("mixed: 1 2 a: b: 1 owners: name: x last: 1")


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("Please *approve*", "Please *approve*"),
        (None, "none"),
        (True, "yes"),
        (7, "7"),
        ([], "(empty)"),
        ({}, ""),
        (["one", {"two": 2}], "one two: 2"),
        ({"label": ["Right?"], "artifacts": "all"}, "label: Right? artifacts: all"),
        ({"label": None, "agent": {"name": "x"}, "type": ["t"]}, "label: none agent: name: x type: t"),
        ({"artifacts": None}, "artifacts: none"),
        ({"artifacts": ["a", None, 3]}, "Artifact 1 a Artifact 2 none Artifact 3 3"),
        ({"artifacts": [{"title": ["t"], "summary": {"s": 1}}]}, "Artifact 1 title: t summary: s: 1"),
        ({"artifacts": [{"title": "t", "confidence": 0.9}]}, "t Confidence: 0.9"),
        ({"artifacts": [{"title": "t", "sources": None}]}, "t sources: none"),
        ({"artifacts": [{"title": "t", "sources": "web"}]}, "t sources: web"),
        ({"artifacts": [{"title": "t", "sources": ["web", None, {}]}]}, "t sources: web none (no address)"),
        ({"artifacts": [{"sources": [{"url": "ftp://x", "source_name": "X"}]}]}, "Artifact 1 sources: X ftp://x"),
        ({"artifacts": [{"sources": [{"url": 5, "read": True}]}]}, "Artifact 1 sources: 5 read: yes"),
        ({"artifacts": [{"sources": [{"url": ["u"]}]}]}, "Artifact 1 sources: (no address) url: u"),
        ({"type": "combined_proposal", "proposals": "none"}, "proposals: none"),
        ({"proposals": ["a", None, {"label": "b"}]}, "Proposal 1 of 3 a Proposal 2 of 3 none Proposal 3 of 3: b"),
        ({"proposals": [{"artifacts": "x", "label": {}}]}, "Proposal 1 of 1 artifacts: x label: (empty)"),
        ({"label": "\u200b", "agent": "\u200b"}, "(empty)"),
        ({1: {None: "x"}}, "1: None: x"),
    ],
)
def test_what_is_not_as_expected_is_shown_as_what_it_is(value: Any, seen: str) -> None:
    interrupt = Interrupt.model_construct(id="i-1", agent=None, value=value)
    first, _, rest = shown(body(interrupt, run_id="r-1")).partition("run r-1")
    assert first.startswith("Asked by an agent without a name ·")
    assert rest.strip() == seen
    assert subject(interrupt)


def test_sources_may_be_bare_addresses() -> None:
    markdown = body_of(
        {"artifacts": [{"title": "t", "sources": ["https://ok.example/a", {"url": "http://ok.example"}]}]}
    )
    assert links(markdown) == ["https://ok.example/a", "http://ok.example/"]


def test_no_text_of_an_agent_changes_the_layout() -> None:
    fields = {"a key": "v", "list": ["x", {"k": "v", "deep": {"k": "v"}}]}
    harmless: dict[str, Any] = copy.deepcopy({**COMBINED, **fields})
    harmless["proposals"][0]["artifacts"][0].update(fields)
    # How a list of small objects is laid out depends on how long their texts are.
    harmless["proposals"][1]["artifacts"][0]["owners"] = [{"person": {"name": "x"}}]

    def with_each(value: Any, text: str) -> Any:
        if isinstance(value, dict):
            return {key if key in KNOWN else f"{key} {text}": with_each(part, text) for key, part in value.items()}
        if isinstance(value, list):
            return [with_each(part, text) for part in value]
        if isinstance(value, str) and value not in ("combined_proposal", "proposal") and not value.startswith("https:"):
            return f"{text} {value} {text}"
        return value

    def layout(markdown: str) -> list[str]:
        # A question of several lines is quoted once, since the subject cannot show it whole.
        found = kinds(markdown)
        assert found.count("blockquote_open") <= 1
        return [kind for kind in found if not kind.startswith(("paragraph", "blockquote"))]

    reference = layout(body_of(harmless))
    for text in HOSTILE:
        markdown = body_of(with_each(harmless, text))
        assert layout(markdown) == reference, text
        assert links(markdown) == ["https://registry.example.com/filings/20417"], text


KNOWN = {
    *("agent", "type", "label", "artifacts", "proposals", "title", "confidence", "summary", "sources"),
    *("url", "source_name", "source_tier", "source_type"),
}


def test_an_address_that_is_no_page_is_no_link() -> None:
    for page in ("javascript:alert(1)", "https://user:pw@app.example/"):
        markdown = body(asks({"label": "x"}), run_id="*r*", run_page=page)
        assert links(markdown) == []
        assert shown(markdown).startswith("Asked by an agent without a name · run *r*")


def test_a_long_text_is_cut_and_the_end_says_so() -> None:
    markdown = body(asks({"label": "Right?", "note": "word " * 400}), run_id="r-1", run_page=PAGE)
    note = markdown.rsplit("\n", 1)[1]
    assert "word… (999 more characters)\n\n---\n\n" in markdown
    assert note == (
        "**Not everything is shown here.** Left out: about 1,005 of 2,015 characters that the agent sent. "
        f"The whole is in run [r-1](<{PAGE}>) (app.example)"
    )


def test_depth_and_entries_have_a_limit_and_a_count() -> None:
    deep = body_of({"a": {"b": {"c": {"d": {"e": 1, "f": 2}}}}})
    assert "      - **d:** … (2 entries, too deep to be shown here)" in deep
    assert "Not everything is shown here" in deep
    wide = body_of({f"k{number}": number for number in range(1_000)})
    assert "- **k49:** 49\n- … and 950 more\n" in wide
    assert "k50" not in wide
    long = body_of({"numbers": list(range(60))})
    assert "  - 49\n  - … and 10 more\n" in long
    assert "Not everything" not in body_of({"numbers": list(range(50))})


def test_a_body_has_a_longest_length_and_is_cut_between_lines() -> None:
    artifacts = [{"title": f"Number {number}", "summary": "*" * 50} for number in range(1_000)]
    markdown = body(asks({"label": "Right?", "artifacts": artifacts}), run_id="r-1", run_page=PAGE)
    assert BODY_LENGTH - 600 < len(markdown) <= BODY_LENGTH
    *content, rule, _, note = markdown.split("\n")
    assert rule == "---"
    assert set(content) <= {*body_of({"label": "Right?", "artifacts": artifacts[:200]}).split("\n"), content[0]}
    assert note.startswith("**Not everything is shown here.** Left out: about ")
    assert note.endswith(f"run [r-1](<{PAGE}>) (app.example)")
    assert "The whole is in run r-1" in body_of({"label": "Right?", "artifacts": artifacts})


def nested(depth: int, key: str | None = None) -> Any:
    """Return a value that many levels deep."""
    value: Any = "x"
    for _ in range(depth):
        value = [value] if key is None else {key: value}
    return value


def proposals_in_proposals(depth: int) -> Any:
    """Return a question without words in a question without words, that many levels deep."""
    value: Any = {"label": "x"}
    for _ in range(depth):
        value = {"type": "combined_proposal", "proposals": [value]}
    return value


EXTREMES: dict[str, Any] = {
    "long text": {"label": "Right?", "note": "x y" * 3_400_000},
    "long label": {"label": "*" * 10_000_000},
    "unseen text": " \u200b" * 5_000_000,
    "many lines": {"note": "a\n" * 5_000_000},
    "many fields": {f"k{number}": number for number in range(300_000)},
    "many numbers": list(range(1_000_000)),
    "many lists": {"l": [[[["a" * 100] * 60] * 60] * 60] * 60},
    "many artifacts": {"artifacts": [{"title": "t", "summary": "s"}] * 200_000},
    "many proposals": {"proposals": [{"label": "t"}] * 200_000},
    "many sources": {"artifacts": [{"title": "t", "sources": [{"url": "https://ok.example/" + "a" * 90}] * 90_000}]},
    "long address": {"artifacts": [{"sources": [{"url": "https://ok.example/" + "a" * 10_000_000}]}]},
    "long name": {"k_" * 5_000_000: 1},
    "huge number": {"label": 10**100_000, "x": 10**100_000},
    "deep list": nested(10_000),
    "deep object": nested(10_000, "k"),
    "deep everywhere": {
        **{key: nested(10_000) for key in ("label", "agent", "type", "proposals", "input_schema", "note")},
        "artifacts": [nested(10_000, "k"), {"title": nested(10_000), "sources": nested(10_000, "k")}],
    },
    "deep proposals": proposals_in_proposals(10_000),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_size_and_depth_cost_no_time(name: str) -> None:
    interrupt = asks(EXTREMES[name])
    started = time.perf_counter()
    question, markdown = subject(interrupt), body(interrupt, run_id="r-1", run_page=PAGE)
    assert time.perf_counter() - started < 0.5
    assert 0 < len(question) <= SUBJECT_LENGTH
    assert len(markdown) <= BODY_LENGTH
    assert name == "huge number" or "Not everything is shown here" in markdown


def test_the_subject_is_one_plain_line() -> None:
    assert subject(asks({"label": "Is *this*\n\n`ok`?\u202e"})) == "Is *this* `ok`?"
    assert subject(asks(COMBINED)) == "Shall these changes be made?"
    assert subject(asks({"proposals": [{"label": "One?"}, {"label": "Two?"}]})) == "One?; Two?"
    assert subject(asks({"label": "\u200b"})) == "interrupt i-1"
    assert subject(asks(None)) == "interrupt i-1"
    assert subject(asks({"label": "word " * 100})).endswith("word…")
    assert len(subject(asks({"label": "a" * 1_000}))) == SUBJECT_LENGTH


@pytest.mark.parametrize("run_id", ["r" * 5_000, "*" * 5_000])
def test_a_long_run_id_does_not_break_the_limit(run_id: str) -> None:
    markdown = body(
        asks({"artifacts": [{"title": "*" * 300}] * 1_000}), run_id=run_id, run_page=PAGE + "/" + "a" * 1_900
    )
    assert len(markdown) <= BODY_LENGTH
