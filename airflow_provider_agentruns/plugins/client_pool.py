# SPDX-License-Identifier: Apache-2.0
"""All connections that the pages of one process read over."""

from __future__ import annotations

from airflow_provider_agentruns.plugins.account import Account
from airflow_provider_agentruns.plugins.status_cache import StatusCache


class ClientPool:
    """Opens a connection when somebody looks at a run of it. For one event loop."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._overviews: dict[str, StatusCache] = {}

    def over(self, conn_id: str) -> Account:
        """Return a connection. Only a task's own may be asked for here, and none that a browser names."""
        if conn_id not in self._accounts:
            self._accounts[conn_id] = Account(conn_id)
        return self._accounts[conn_id]

    def overview(self, conn_id: str) -> StatusCache:
        """Return what looks at many runs of a connection at a time."""
        if conn_id not in self._overviews:
            self._overviews[conn_id] = StatusCache(self.over(conn_id))
        return self._overviews[conn_id]

    async def close(self) -> None:
        """Close all connections."""
        for overview in self._overviews.values():
            await overview.close()
        for account in self._accounts.values():
            await account.close()
        self._overviews.clear()
        self._accounts.clear()
