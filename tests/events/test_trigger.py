# SPDX-License-Identifier: Apache-2.0
"""What a watcher's trigger is made of, and what Airflow makes of it."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset, AssetWatcher
from airflow.sdk.module_loading import import_string
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.models import RunStatus
from airflow_provider_agentruns.triggers.agent_run import AgentRunEventTrigger, _accessors
from tests.support.airflow_names import encode_trigger, smart_decode_trigger_kwargs
from tests.support.airflow_versions import needs_asset_state_store


@pytest.mark.parametrize(
    ("arguments", "kwargs"),
    [
        ({}, {}),
        ({"statuses": "error"}, {"statuses": ["error"]}),
        ({"statuses": {"interrupted", "completed"}}, {"statuses": ["completed", "interrupted"]}),
        ({"statuses": [RunStatus.ERROR, RunStatus.ERROR]}, {"statuses": ["error"]}),
        ({"agent": "slow", "poll_interval": 7}, {"agent": "slow", "poll_interval": 7.0}),
        ({"agentruns_conn_id": "mine", "poll_interval": 0}, {"agentruns_conn_id": "mine", "poll_interval": 0.02}),
    ],
)
def test_it_comes_back_the_same(arguments: dict[str, Any], kwargs: dict[str, Any]) -> None:
    trigger = AgentRunEventTrigger(**arguments)
    defaults = {
        "agentruns_conn_id": "agentruns_default",
        "statuses": ["completed", "interrupted", "error"],
        "agent": None,
        "poll_interval": 30.0,
    }
    path, serialized = trigger.serialize()
    assert serialized == {**defaults, **kwargs}
    assert json.loads(json.dumps(serialized)) == serialized
    assert all(type(status) is str for status in serialized["statuses"])
    # As the DAG processor writes it down, and as the triggerer reads it.
    written = json.loads(json.dumps(encode_trigger(AssetWatcher(name="w", trigger=trigger).trigger)))
    assert written["classpath"] == path
    again = import_string(path)(**{key: smart_decode_trigger_kwargs(value) for key, value in written["kwargs"].items()})
    assert again.serialize() == (path, serialized)
    assert again._key == trigger._key


def test_airflow_takes_the_same_arguments_for_one_trigger() -> None:
    def hashed(**arguments: Any) -> int:
        return BaseEventTrigger.hash(*AgentRunEventTrigger(**arguments).serialize())

    assert hashed(statuses=["error", "completed"]) == hashed(statuses=("completed", "error"))
    assert hashed(statuses=["error"]) != hashed(statuses=["completed"])
    assert hashed(poll_interval=30) == hashed()


def test_what_it_keeps_is_kept_under_what_it_watches() -> None:
    def key(**arguments: Any) -> str:
        return AgentRunEventTrigger(**arguments)._key

    assert key().startswith("agent_runs:")
    assert len(key()) < 40
    # Another pause between two looks makes no other cursor.
    assert key() == key(poll_interval=5) == key(statuses=["error", "interrupted", "completed"])
    different = [{}, {"agentruns_conn_id": "b"}, {"statuses": ["error"]}, {"agent": "a"}, {"agent": "None"}]
    assert len({key(**arguments) for arguments in different}) == len(different)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"statuses": ()}, "wait_for is empty"),
        ({"statuses": ["running"]}, "not 'running'"),
        ({"statuses": ["completed", "done"]}, "not 'done'"),
        ({"agent": ""}, "agent should be"),
        ({"agent": " "}, "agent should be"),
        ({"agent": 5}, "agent should be"),
        ({"agent": ["slow"]}, "agent should be"),
    ],
)
def test_what_makes_no_sense_is_refused_when_the_dag_is_made(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(AgentRunsValueError, match=said):
        AgentRunEventTrigger(**arguments)


def test_an_asset_takes_it() -> None:
    watcher = AssetWatcher(name="agent_runs", trigger=AgentRunEventTrigger(agent="slow"))
    assert Asset("runs", watchers=[watcher]).watchers == [watcher]


@needs_asset_state_store
def test_the_stores_of_all_its_assets_are_found_in_what_airflow_gives_it() -> None:
    from airflow.sdk.execution_time import context

    assets = [Asset(name=name, uri=f"test://{name}") for name in ("b", "a")]
    both = _accessors(context.AssetStateStoreAccessors(inlets=assets))
    assert both == [context.AssetStateStoreAccessor(name=name) for name in ("a", "b")]
    one = _accessors(context.AssetStateStoreAccessors(inlets=assets[:1]))
    assert one == [context.AssetStateStoreAccessor(name="b")]
    assert _accessors(None) == []
    # Were it made otherwise one day, it could still be asked itself.
    other = SimpleNamespace(aget=None, aset=None)
    assert _accessors(other) == [other]
