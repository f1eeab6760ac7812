# SPDX-License-Identifier: Apache-2.0
"""Signatures, and what the body of a signed webhook reports. Whatever else it holds is an error within bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_agentruns.events.signed_webhook import is_signed, parse_signature, parse_webhook_event, sign
from airflow_provider_agentruns.exceptions import AgentRunsValueError
from tests.events.sender import body_of, event

BODY = b'{"object": "event"}\n'
SECRET = "a secret with \xe4"


def test_a_signature_is_the_example_of_rfc_4231() -> None:
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert sign(b"what do ya want for nothing?", "Jefe") == f"sha256={expected}"


@pytest.mark.parametrize("header", [sign(BODY, SECRET), f"  {sign(BODY, SECRET)[7:].upper()}  "])
def test_each_usual_spelling_of_a_signature_is_read(header: str) -> None:
    signature = parse_signature(header)
    assert signature is not None
    assert is_signed(BODY, signature, ["another", SECRET])
    assert is_signed(BODY, signature, [SECRET, "another"])
    assert not is_signed(BODY + b" ", signature, [SECRET])
    assert not is_signed(BODY, signature, ["another"])
    assert not is_signed(BODY, signature, [])


@pytest.mark.parametrize("header", [None, "", "sha256=", "sha1=" + "ab" * 32, "ab" * 31, "ab" * 33, "\u0661" * 64])
def test_other_headers_are_no_signature(header: str | None) -> None:
    assert parse_signature(header) is None


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (event("completed"), "completed"),
        (event("interrupted", asked={"i": [{"deep": [None, 1.5]}]}, output="odd", steps=5), "interrupted"),
        # The run has changed since the event.
        (event("completed", type_="run.interrupted"), "completed"),
        (event("paused", type_="run.interrupted"), "interrupted"),
        # Nothing to report.
        (event("running"), None),
        (event("interrupted", type_="run.created"), None),
        (event("completed", type_="business.updated"), None),
    ],
)
def test_an_event_reports_the_status_of_the_run(sent: dict[str, Any], status: str | None) -> None:
    change = parse_webhook_event(body_of(sent))
    if status is None:
        assert change is None
        return
    assert change is not None
    assert change[:4] == (sent["id"], sent["data"]["object"]["id"], status, "cip_orchestrator")


def test_the_key_tells_the_states_of_a_run_apart() -> None:
    def key(*arguments: Any, **fields: Any) -> str:
        change = parse_webhook_event(body_of(event(*arguments, **fields)))
        assert change is not None
        return change.key

    first = key("interrupted", "r-1", asked={"i-1": {"a": 1, "b": [2]}, "i-2": 0})
    assert key("interrupted", "r-1", asked={"i-2": 0, "i-1": {"b": [2], "a": 1}}, ago=timedelta(days=1)) == first
    # Without interrupts, only the event distinguishes one interruption from another.
    keys = {first, key("interrupted", "r-1"), key("interrupted", "r-1"), key("interrupted", "r-1", asked={"i-2": 0})}
    keys |= {key("completed", "r-1"), key("error", "r-1"), key("completed", "r-2")}
    assert len(keys) == 7
    assert key("completed", "r-1") == key("completed", "r-1", type_="run.interrupted")


@pytest.mark.parametrize(
    ("created", "message"),
    [
        (timedelta(days=4, minutes=1), "is older than 4 days or from the future"),
        (-timedelta(minutes=6), "or from the future"),
        ("0001-01-01T00:00:00+23:59", "is older than 4 days"),
        ("9999-12-31T23:59:59-23:59", "or from the future"),
        ("x" * 100_000, "created_at"),
    ],
)
def test_the_age_of_an_event_is_limited(created: Any, message: str) -> None:
    sent = event("completed")
    sent["created_at"] = (datetime.now(UTC) - created).isoformat() if isinstance(created, timedelta) else created
    with pytest.raises(AgentRunsValueError, match=message) as caught:
        parse_webhook_event(body_of(sent))
    assert len(str(caught.value)) < 300


def replaced(path: str, *value: Any) -> bytes:
    """Return the body of an event with another value at a path, or without any."""
    sent: dict[str, Any] = event("completed", asked={"i": 0})
    *parents, name = path.split(".")
    place = sent
    for parent in parents:
        place = place[parent]
    if value:
        place[name] = value[0]
    else:
        del place[name]
    return body_of(sent)


ASKED = body_of(event("interrupted", asked={"i": 0}))

MALFORMED = [
    (b"{", "malformed"),
    (b'{"type": "run.completed"}', "created_at"),
    (replaced("type", 5), "type"),
    (replaced("id", "x" * 1_000_000), "id"),
    (replaced("data.object", "r-1"), "data.object.id"),
    (replaced("data.object.id", "nul\x00byte"), "data.object.id"),
    (replaced("data.object.id", "x" * 256), "data.object.id"),
    (replaced("data.object.agent", "two\nlines"), "data.object.agent"),
    (replaced("data.object.status"), "data.object.status of a run.completed event must be completed or error"),
    (replaced("data.object.interrupts", [5] * 100_000), "data.object.interrupts.0"),
    (replaced("data.object.interrupts", [{"id": 5}]), "data.object.interrupts.0.id"),
    (body_of(event("completed")).replace(b'"cip_orchestrator"', b'"\\ud800"'), "malformed"),
    (ASKED.replace(b'"value": 0', b'"value": ' + b"[" * 9000), "malformed"),
    (ASKED.replace(b": 0}", b": " + b"9" * 9000 + b"}"), "malformed"),
]


@pytest.mark.parametrize(("body", "message"), MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_event_is_an_error_with_a_short_message(body: bytes, message: str) -> None:
    with pytest.raises(AgentRunsValueError, match=message) as caught:
        parse_webhook_event(body)
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()
