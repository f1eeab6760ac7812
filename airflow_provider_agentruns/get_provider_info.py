# SPDX-License-Identifier: Apache-2.0
"""What Airflow reads to know this provider: its modules, its connection type and the form for it."""

from __future__ import annotations

from typing import Any

from airflow_provider_agentruns import __version__

_INTEGRATION = "Agent runs"
_PACKAGE = "airflow_provider_agentruns"

#: Airflow's concepts, each a folder, and the modules in it.
_MODULES = {
    "hooks": ("agent_run",),
    "operators": ("agent_run", "review", "review_rounds"),
    "sensors": ("agent_run",),
    "triggers": ("agent_run", "form"),
}


def _field(label: str, kind: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"label": label, "schema": {"type": [kind, "null"], **schema}, "description": description}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, in the form of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-agentruns",
        "name": _INTEGRATION,
        "description": "Starts agent runs, waits for them, hands on their output and answers their questions.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://docs.middesk.com/",
                "tags": ["service"],
            }
        ],
        **{
            concept: [
                {
                    "integration-name": _INTEGRATION,
                    "python-modules": [f"{_PACKAGE}.{concept}.{module}" for module in modules],
                }
            ]
            for concept, modules in _MODULES.items()
        },
        # Of the assets that webhooks make events of; see the module `assets`.
        "asset-uris": [{"schemes": ["agentruns"], "handler": None}],
        "task-decorators": [
            {"name": "agent_run", "class-name": f"{_PACKAGE}.decorators.agent_run.agent_run_task"},
        ],
        "extra-links": [f"{_PACKAGE}.links.agent_run.AgentRunLink"],
        "connection-types": [
            {
                "connection-type": "agentruns",
                "hook-class-name": f"{_PACKAGE}.hooks.agent_run.AgentRunHook",
                "hook-name": "Agent runs",
                "ui-field-behaviour": {
                    "hidden-fields": ["login", "schema", "extra"],
                    "relabeling": {"host": "Base URL", "password": "API token"},
                    "placeholders": {"host": "https://api.middesk.com"},
                },
                "conn-fields": {
                    "timeout": _field(
                        "Request timeout", "number", "Seconds for one request.", default=30, exclusiveMinimum=0
                    ),
                    "rate_limit": _field(
                        "Requests per second",
                        "number",
                        "The most that all processes on one machine send. Machines share the account's limit.",
                        default=20,
                        exclusiveMinimum=0,
                    ),
                    "max_retries": _field(
                        "Retries", "integer", "How often one request is sent again.", default=5, minimum=0
                    ),
                    "max_streams": _field(
                        "Open streams",
                        "integer",
                        'How many runs one triggerer follows by their stream of events, for tasks with watch="stream".',
                        default=250,
                        minimum=0,
                    ),
                    "verify": _field(
                        "TLS verification", "string", "true, false, or the path of a CA bundle.", default="true"
                    ),
                    "proxy": _field("Proxy", "string", "URL of a proxy, if one is needed."),
                    "run_url": _field(
                        "Run page", "string", "URL of a run's page with {run_id} in it, for the link in the task view."
                    ),
                    "resume_body": _field(
                        "Resume body",
                        "string",
                        "JSON that an answer is sent as; the strings {interrupt_id} and {input} are replaced.",
                    ),
                    "allow_http": _field(
                        "Allow plain http",
                        "boolean",
                        "Send the token in clear to a host other than this machine.",
                        default=False,
                    ),
                    "webhook_secret": _field(
                        "Webhook secret",
                        "string",
                        "What the service signs its webhooks with. None are taken without it. While one is exchanged "
                        "for another: both, with a blank between them.",
                        format="password",
                    ),
                },
            }
        ],
    }
