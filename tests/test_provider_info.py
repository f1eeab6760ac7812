# SPDX-License-Identifier: Apache-2.0
"""The provider's metadata is valid and complete, and Airflow reads it."""

from __future__ import annotations

import importlib
import json
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import airflow
import jsonschema
from airflow.providers.common.compat.sdk import redact
from airflow.providers_manager import ProvidersManager
from airflow.sdk import BaseHook, BaseOperatorLink
from airflow.sdk.module_loading import import_string

from airflow_provider_agentruns import __version__
from airflow_provider_agentruns.client.connection_settings import Settings
from airflow_provider_agentruns.get_provider_info import get_provider_info
from tests.support import connection_fields
from tests.support.airflow_versions import needs_declared_form

AIRFLOW = Path(airflow.__path__[0])


@cache
def info() -> dict[str, Any]:
    """Return the metadata through the entry point, as Airflow does."""
    entries = entry_points(group="apache_airflow_provider")
    [entry] = [entry for entry in entries if entry.value.startswith("airflow_provider_ag")]
    found: dict[str, Any] = entry.load()()
    return found


def connection_type() -> dict[str, Any]:
    """Return the metadata of the connection type."""
    [found] = info()["connection-types"]
    assert isinstance(found, dict)
    return found


def test_the_entry_point() -> None:
    assert info() == get_provider_info()
    assert (info()["package-name"], info()["versions"]) == ("airflow-provider-agentruns", [__version__])


def test_airflows_schema() -> None:
    jsonschema.validate(info(), json.loads((AIRFLOW / "provider_info.schema.json").read_text()))


def test_every_named_module_exists() -> None:
    for concept in ("hooks", "operators", "sensors", "triggers"):
        [group] = info()[concept]
        for module in group["python-modules"]:
            assert vars(importlib.import_module(module))


def test_every_named_class_exists() -> None:
    hook = import_string(connection_type()["hook-class-name"])
    assert issubclass(hook, BaseHook)
    assert (hook.conn_type, hook.hook_name) == (connection_type()["connection-type"], connection_type()["hook-name"])
    for link in info()["extra-links"]:
        assert issubclass(import_string(link), BaseOperatorLink)


def test_the_form_has_a_field_for_each_setting() -> None:
    fields = connection_type()["conn-fields"]
    assert set(fields) == set(Settings.model_fields) - {"base_url", "token"}
    assert all(field["label"] and field["description"].endswith(".") for field in fields.values())
    outdated = "run `python -m tests.support.connection_fields`"
    assert connection_fields.FILE.read_text(encoding="utf-8") == connection_fields.text(), outdated


def test_the_defaults_in_the_form() -> None:
    fields = connection_type()["conn-fields"]
    shown = {name: field["schema"]["default"] for name, field in fields.items() if "default" in field["schema"]}
    assert set(shown) >= {"timeout", "rate_limit", "max_retries", "verify", "allow_http"}
    for name, default in shown.items():
        jsonschema.validate(default, fields[name]["schema"])
        # Saving an unchanged form has no effect.
        one = Settings.from_parts(password="mk_test_1", extra={name: default})
        assert one == Settings.from_parts(password="mk_test_1"), name
    assert {name: default for name, default in shown.items() if name != "verify"} == {
        "timeout": 30,
        "rate_limit": 20,
        "max_retries": 5,
        "max_streams": 250,
        "allow_http": False,
    }


def test_the_form_hides_the_webhook_secret() -> None:
    assert connection_type()["conn-fields"]["webhook_secret"]["schema"]["format"] == "password"
    # Airflow masks a field of this name in logs and in its API.
    assert redact({"webhook_secret": ["the-secret"]}) == {"webhook_secret": ["***"]}


@needs_declared_form
def test_airflow_builds_the_form() -> None:
    manager = ProvidersManager()
    widgets = {
        name: widget
        for name, widget in manager.connection_form_widgets.items()
        if widget.package_name == "airflow-provider-agentruns"
    }
    assert set(widgets) == {f"extra__agentruns__{name}" for name in connection_type()["conn-fields"]}
    assert manager.field_behaviours["agentruns"]["relabeling"]["password"] == "API token"
