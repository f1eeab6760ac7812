# SPDX-License-Identifier: Apache-2.0
"""What can be asked for over HTTP, below ``/agent-runs``: a router in each module, all of them listed here."""

from __future__ import annotations

from airflow_provider_agentruns.plugins.routes import pages, task, waiting, webhooks

ROUTERS = (pages.router, task.router, waiting.router, webhooks.router)
