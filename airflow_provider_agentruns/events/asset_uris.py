# SPDX-License-Identifier: Apache-2.0
"""The assets that receive events from webhooks."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow_provider_agentruns.airflow_adapter import ASSET_URIS
from airflow_provider_agentruns.arguments import AWAITABLE, check_agent
from airflow_provider_agentruns.exceptions import AgentRunsValueError

if TYPE_CHECKING:
    from airflow.sdk import Asset


def agent_run_asset(
    agentruns_conn_id: str = "agentruns_default", *, status: str | None = None, agent: str | None = None
) -> Asset:
    """
    Return the asset that gets an event for each run that newly reaches a status, as soon as a webhook reports it.

    Use it in ``schedule=``. The connection needs a ``webhook_secret``, and the service must send webhooks to Airflow.
    An event's ``extra["payload"]`` is the same as with ``AgentRunEventTrigger``, and reports one run.

    :param agentruns_conn_id: The Airflow connection ID.
    :param status: ``completed``, ``interrupted``, or ``error``; None for all of them.
    :param agent: Only runs of this agent type; None for all.
    :raises AgentRunsValueError: If an argument is invalid.
    """
    from airflow.sdk import Asset

    if not isinstance(agentruns_conn_id, str) or not agentruns_conn_id.strip():
        raise AgentRunsValueError(f"agentruns_conn_id must be the ID of a connection, not {agentruns_conn_id!r}")
    if status not in (None, *AWAITABLE):
        raise AgentRunsValueError(f"status must be {', '.join(AWAITABLE)}, or None for all of them, not {status!r}")
    check_agent(agent)
    return Asset(_uri(agentruns_conn_id, status, agent))


def asset_uris(agentruns_conn_id: str, status: str, agent: str | None) -> list[str]:
    """Return the URIs of all assets that get an event when a run reaches a status."""
    return [_uri(agentruns_conn_id, *key) for key in product((None, status), {None, agent or None})]


def _uri(agentruns_conn_id: str, status: str | None, agent: str | None) -> str:
    # Quoted so that Airflow, which normalizes URIs, leaves it unchanged. The URI is also the asset's name.
    parts = [agentruns_conn_id, status or "any", *([agent] if agent else [])]
    return ASSET_URIS + "/".join(quote(part, safe="") for part in parts)
