# SPDX-License-Identifier: Apache-2.0
"""The agents that the service offers."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from datetime import datetime

from airflow_provider_agentruns.emulator.ids import Ids, timestamp
from airflow_provider_agentruns.emulator.problems import NotFound
from airflow_provider_agentruns.emulator.scripts import Json, Script


class Catalog:
    """
    All agents.

    :param scripts: By agent type.
    :param since: When they came to be.
    """

    def __init__(self, scripts: Mapping[str, Script], ids: Ids, since: datetime) -> None:
        self._scripts = dict(scripts)
        self._ids = ids
        self._since = since

    def script(self, agent: str) -> Script:
        """
        Find the script of an agent by its type.

        :raises NotFound: If there is no such agent.
        """
        try:
            return self._scripts[agent]
        except KeyError:
            known = ", ".join(sorted(self._scripts))
            raise NotFound(f"There is no agent of type {agent}; there are {known}", "type") from None

    def all(self) -> list[Json]:
        """Show all agents."""
        return [self._as_json(agent) for agent in self._scripts]

    def get(self, agent_id: str) -> Json:
        """
        Show an agent.

        :raises NotFound: If there is none with that id.
        """
        for agent in self.all():
            if agent["id"] == agent_id.lower():
                return agent
        raise NotFound(f"There is no agent {agent_id}")

    def _as_json(self, agent: str) -> Json:
        return {
            "object": "agent",
            "id": self._ids.uuid("agent", agent),
            "type": agent,
            "name": agent.replace("_", " ").capitalize(),
            "description": (inspect.getdoc(self._scripts[agent]) or "").partition("\n")[0],
            "created_at": timestamp(self._since),
            "updated_at": timestamp(self._since),
        }
