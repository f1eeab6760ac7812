# SPDX-License-Identifier: Apache-2.0
"""The assets that the service's webhooks make events of, for DAGs that are scheduled by agent runs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow_provider_agentruns.arguments import AWAITABLE, check_agent
from airflow_provider_agentruns.exceptions import AgentRunsValueError

if TYPE_CHECKING:
    from airflow.sdk import Asset

#: The scheme of their URIs.
SCHEME = "agentruns"

_ANY = "any"


def agent_run_asset(
    agentruns_conn_id: str = "agentruns_default", *, status: str | None = None, agent: str | None = None
) -> Asset:
    """
    Return the asset that gets an event for each run that newly reaches a status, as soon as a webhook tells of it.

    For ``schedule=``. It takes a connection with a ``webhook_secret``, and the service to be told where to send its
    webhooks. An event's ``extra["payload"]`` is ``{"run_id", "status", "agent"}``, as that of ``AgentRunEventTrigger``.

    :param agentruns_conn_id: The Airflow connection.
    :param status: ``completed``, ``interrupted`` or ``error``; None for each of them.
    :param agent: Only runs of this agent type; None for all.
    :raises AgentRunsValueError: If an argument makes no sense.
    """
    # Not with the module, whose names the triggerer needs as well.
    from airflow.sdk import Asset

    if not isinstance(agentruns_conn_id, str) or not agentruns_conn_id.strip():
        raise AgentRunsValueError(f"agentruns_conn_id should be a connection's id, not {agentruns_conn_id!r}")
    if status is not None and status not in AWAITABLE:
        raise AgentRunsValueError(f"status should be one of {', '.join(AWAITABLE)}, or None for all, not {status!r}")
    check_agent(agent)
    return Asset(asset_uri(agentruns_conn_id, status, agent))


def asset_uri(agentruns_conn_id: str, status: str | None, agent: str | None) -> str:
    """Return the URI of such an asset, which is its name, too."""
    return _uri(agentruns_conn_id, status or _ANY, *([agent] if agent else []))


def asset_uris(agentruns_conn_id: str, status: str, agent: str | None) -> list[str]:
    """Return the URIs of all assets that a run with a status is told of by."""
    return [asset_uri(agentruns_conn_id, *which) for which in _uses(status, agent)]


def _uses(status: str, agent: str | None) -> list[tuple[str | None, str | None]]:
    agents = [None, agent] if agent else [None]
    return [(which, whose) for which in (None, status) for whose in agents]


def _uri(*parts: str) -> str:
    # As Airflow would leave them: with nothing in it that it takes for a query, a fragment or a user.
    return f"{SCHEME}://" + "/".join(quote(part, safe="") for part in parts)
