# SPDX-License-Identifier: Apache-2.0
"""Each state that a run comes to makes one event of each asset that is about it, in whatever way it is told of."""

from __future__ import annotations

import random
import uuid
from datetime import timedelta

import pytest

from airflow_provider_agentruns.events.asset_uris import agent_run_asset
from tests.events.assets import Assets, kept, rows_of_all_tables
from tests.events.sender import Sender, event

AGENT = "cip_orchestrator"


def test_a_completed_run_starts_the_dag_with_what_a_watcher_would_tell(sender: Sender, assets: Assets) -> None:
    asset = assets.add(agent_run_asset("hooked", status="completed"))
    sent = event("completed", output={"artifacts": [{"title": "secret of the business"}]})
    assert sender.send(sent).status_code == 204
    run = sent["data"]["object"]
    [extra] = assets.events(asset)
    assert extra == {
        "from_webhook": True,
        "payload": {"run_id": run["id"], "status": "completed", "agent": AGENT},
    }
    assert assets.queued() == {"by_webhooks"}


def test_a_run_is_told_of_by_the_assets_that_are_about_it_and_by_no_others(sender: Sender, assets: Assets) -> None:
    every = assets.add(agent_run_asset("hooked"))
    failed = assets.add(agent_run_asset("hooked", status="error"))
    of_agent = assets.add(agent_run_asset("hooked", agent=AGENT))
    failed_of_agent = assets.add(agent_run_asset("hooked", status="error", agent=AGENT))
    others = [
        assets.add(agent_run_asset("hooked", status="completed")),
        assets.add(agent_run_asset("hooked", agent="another")),
        assets.add(agent_run_asset("rotated", status="error")),
    ]
    sent = event("error")
    assert sender.send(sent).status_code == 204
    payload = {"run_id": sent["data"]["object"]["id"], "status": "error", "agent": AGENT}
    for asset in (every, failed, of_agent, failed_of_agent):
        assert assets.payloads(asset) == [payload]
    for asset in others:
        assert assets.payloads(asset) == []


def test_the_dag_run_gets_all_events_that_have_come_by_then(sender: Sender, assets: Assets) -> None:
    """Airflow by itself would give it the first, and keep the others until there is another."""
    for conn_id in ("hooked", "rotated"):
        assets.add(agent_run_asset(conn_id))
    for _ in range(3):
        assert sender.send(event("completed")).status_code == 204
        assert assets.missed() == 0


def test_what_comes_again_is_received_and_does_nothing(sender: Sender, assets: Assets) -> None:
    asset = assets.add(agent_run_asset("hooked", status="completed"))
    sent = event("completed")
    assert [sender.send(sent).status_code for _ in range(3)] == [204] * 3
    # Another event of the same state, as at a new delivery that got another id.
    again = event("completed", sent["data"]["object"]["id"], ago=timedelta(days=1))
    assert sender.send(again).status_code == 204
    assert len(assets.payloads(asset)) == 1


def test_all_states_of_a_run_come_through_once_in_any_order(sender: Sender, assets: Assets) -> None:
    asset = assets.add(agent_run_asset("hooked"))
    run_id = str(uuid.uuid4())
    states = [
        event("running", run_id),
        event("interrupted", run_id, asked={"int-1": {"label": "Is the name right?"}}),
        event("interrupted", run_id, asked={"int-2": {"label": "And the address?"}}),
        event("completed", run_id),
    ]
    deliveries = states * 4
    random.Random(7).shuffle(deliveries)  # noqa: S311 -- the same each time
    assert {sender.send(sent).status_code for sent in deliveries} == {204}
    assert sorted(payload["status"] for payload in assets.payloads(asset)) == [
        "completed",
        "interrupted",
        "interrupted",
    ]


def test_an_interrupt_that_is_not_shown_is_told_of_by_its_event(sender: Sender, assets: Assets) -> None:
    asset = assets.add(agent_run_asset("hooked", status="interrupted"))
    run_id = str(uuid.uuid4())
    first, second = event("interrupted", run_id), event("interrupted", run_id)
    for sent in (first, second, first, second):
        assert sender.send(sent).status_code == 204
    assert len(assets.payloads(asset)) == 2


def test_a_late_event_that_shows_the_run_as_it_is_by_now_makes_no_second_one(sender: Sender, assets: Assets) -> None:
    asset = assets.add(agent_run_asset("hooked"))
    run_id = str(uuid.uuid4())
    sender.send(event("completed", run_id, type_="run.interrupted"))
    sender.send(event("completed", run_id))
    assert [payload["status"] for payload in assets.payloads(asset)] == ["completed"]


def test_a_run_that_has_begun_is_no_news(sender: Sender, assets: Assets) -> None:
    asset = assets.add(agent_run_asset("hooked"))
    assert sender.send(event("running")).status_code == 204
    assert assets.payloads(asset) == []


@pytest.mark.parametrize("status", ["completed", "error", "interrupted"])
def test_where_no_dag_wants_to_know_nothing_is_stored(sender: Sender, assets: Assets, status: str) -> None:
    before = rows_of_all_tables()
    assert sender.send(event(status, asked={"int-1": {}})).status_code == 204
    assert rows_of_all_tables() == before


def test_nothing_changes_in_the_database_but_the_event_and_that_it_was_taken(sender: Sender, assets: Assets) -> None:
    asset = assets.add(agent_run_asset("hooked", status="completed"))
    before = rows_of_all_tables()
    sent = event("completed", output={"artifacts": [{"title": "secret of the business"}]})
    for _ in range(2):
        assert sender.send(sent).status_code == 204
    changed = {name: count - before[name] for name, count in rows_of_all_tables().items() if count != before[name]}
    assert changed == {"asset_event": 1, "asset_dag_run_queue": 1, "asset_state_store": 1}
    [(key, value)] = kept(asset.uri).items()
    assert (key, value) == (f"webhook:{sent['data']['object']['id']}:completed", {"event": sent["id"]})
