# SPDX-License-Identifier: Apache-2.0
"""
Writes the fields of the connection form, from the fields of ``Settings``.

Usage: ``python -m tests.support.connection_fields``
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import airflow_provider_agentruns
from airflow_provider_agentruns.client.connection_settings import Settings

FILE = Path(airflow_provider_agentruns.__path__[0]) / "generated_connection_fields.json"

_BOUNDS = ("exclusiveMinimum", "minimum")


def connection_fields() -> dict[str, Any]:
    """Return each field of a connection's extra, as Airflow's form needs it."""
    schemas = Settings.model_json_schema()["properties"]
    return {
        name: _field(schemas[name], field.default)
        for name, field in sorted(Settings.model_fields.items(), key=lambda item: item[0] == "allow_http")
        if field.title
    }


def _field(schema: dict[str, Any], default: Any) -> dict[str, Any]:
    kind = schema.get("type")
    # The form shows whatever is neither a number nor a flag as text.
    kind = kind if kind in ("number", "integer", "boolean") else "string"
    shown: dict[str, Any] = {"type": [kind, "null"]}
    if kind != "string":
        shown["default"] = int(default) if kind == "number" and default == int(default) else default
    elif isinstance(default, bool):
        shown["default"] = str(default).lower()
    shown |= {name: int(schema[name]) for name in _BOUNDS if name in schema}
    if "format" in schema:
        shown["format"] = schema["format"]
    return {"label": schema["title"], "schema": shown, "description": schema["description"]}


def text() -> str:
    return json.dumps(connection_fields(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
