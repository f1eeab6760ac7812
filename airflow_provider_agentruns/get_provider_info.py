# SPDX-License-Identifier: Apache-2.0
"""The metadata of this provider for Airflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow_provider_agentruns import __version__

_INTEGRATION = "Agent runs"
_PACKAGE = "airflow_provider_agentruns"

_MODULES = {
    "hooks": [f"{_PACKAGE}.hooks.agent_run"],
    "operators": [f"{_PACKAGE}.operators.{name}" for name in ("agent_run", "review", "review_rounds")],
    "sensors": [f"{_PACKAGE}.sensors.agent_run"],
    "triggers": [f"{_PACKAGE}.triggers.agent_run"],
}


def get_provider_info() -> dict[str, Any]:
    """Return the metadata in the form of Airflow's ``provider_info.schema.json``."""
    # Generated from Settings, because pydantic is slow to import and Airflow reads this module often.
    connection_fields = Path(__file__).with_name("generated_connection_fields.json").read_text(encoding="utf-8")
    return {
        "package-name": "airflow-provider-agentruns",
        "name": _INTEGRATION,
        "description": "Starts agent runs, waits for them, returns their output, and answers their questions.",
        "versions": [__version__],
        "integrations": [
            {"integration-name": _INTEGRATION, "external-doc-url": "https://docs.middesk.com/", "tags": ["service"]}
        ],
        **{
            concept: [{"integration-name": _INTEGRATION, "python-modules": names}]
            for concept, names in _MODULES.items()
        },
        # The scheme of the assets that webhooks create events for.
        "asset-uris": [{"schemes": ["agentruns"], "handler": None}],
        "task-decorators": [{"name": "agent_run", "class-name": f"{_PACKAGE}.decorators.agent_run.agent_run_task"}],
        "extra-links": [f"{_PACKAGE}.links.agent_run.AgentRunLink"],
        "connection-types": [
            {
                "connection-type": "agentruns",
                "hook-class-name": f"{_PACKAGE}.hooks.agent_run.AgentRunHook",
                "hook-name": "Agent runs",
                "ui-field-behaviour": {
                    "hidden-fields": ["login", "schema", "extra"],
                    "relabeling": {"host": "Base URL", "password": "API token"},
                    "placeholders": {
                        "host": "https://api.middesk.com",
                        # Airflow's Test button rejects a stored connection without a port.
                        "port": "443 (the Test button needs a port)",
                    },
                },
                "conn-fields": json.loads(connection_fields),
            }
        ],
    }
