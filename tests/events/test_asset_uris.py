# SPDX-License-Identifier: Apache-2.0
"""The helper for DAG files: assets with the same name everywhere, and an error for what there can be none of."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_provider_agentruns.events.asset_uris import agent_run_asset, asset_uris
from airflow_provider_agentruns.exceptions import AgentRunsValueError


@pytest.mark.parametrize(
    ("arguments", "uri"),
    [
        ({}, "agentruns://agentruns_default/any"),
        ({"status": "completed"}, "agentruns://agentruns_default/completed"),
        ({"agent": "cip_orchestrator"}, "agentruns://agentruns_default/any/cip_orchestrator"),
        ({"status": "error", "agent": "a b/c?d#e"}, "agentruns://agentruns_default/error/a%20b%2Fc%3Fd%23e"),
        ({"agentruns_conn_id": "My-Conn.1"}, "agentruns://My-Conn.1/any"),
        ({"agentruns_conn_id": "user:word@host/x", "status": "error"}, "agentruns://user%3Aword%40host%2Fx/error"),
    ],
)
def test_its_uri_is_what_airflow_leaves_as_it_is(arguments: dict[str, Any], uri: str) -> None:
    asset = agent_run_asset(**arguments)
    assert isinstance(asset, Asset)
    assert (asset.uri, asset.name) == (uri, uri)


@pytest.mark.parametrize("conn_id", ["agentruns_default", "a/b", "ünïcode"])
@pytest.mark.parametrize("agent", ["cip_orchestrator", "a/b", "any", None])
def test_a_run_is_told_of_by_the_assets_of_its_status_and_agent(conn_id: str, agent: str | None) -> None:
    of_dags = {
        agent_run_asset(conn_id, status=status, agent=whose).uri
        for status in (None, "completed")
        for whose in ((None, agent) if agent else (None,))
    }
    assert set(asset_uris(conn_id, "completed", agent)) == of_dags


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            {"status": "running"},
            "status should be one of completed, interrupted, error, or None for all, not 'running'",
        ),
        ({"status": ["completed"]}, "status should be one of"),
        ({"agent": " "}, "agent should be an agent type"),
        ({"agent": 5}, "agent should be an agent type"),
        ({"agentruns_conn_id": ""}, "agentruns_conn_id should be"),
        ({"agentruns_conn_id": None}, "agentruns_conn_id should be"),
    ],
)
def test_what_makes_no_sense_is_refused_when_the_dag_is_made(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(AgentRunsValueError, match=said):
        agent_run_asset(**arguments)
