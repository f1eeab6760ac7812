# SPDX-License-Identifier: Apache-2.0
"""The provider's metadata is valid and complete, and Airflow reads it."""

from __future__ import annotations

import importlib
import json
from importlib.metadata import entry_points
from pathlib import Path

import airflow
import jsonschema
from airflow.providers.common.compat.sdk import redact
from airflow.providers_manager import ProvidersManager
from airflow.sdk import BaseOperatorLink
from airflow.sdk.module_loading import import_string

from airflow_provider_agentruns import __version__
from airflow_provider_agentruns.client.connection_settings import Settings
from airflow_provider_agentruns.get_provider_info import get_provider_info
from tests.support import connection_fields
from tests.support.airflow_versions import needs_declared_form

AIRFLOW = Path(airflow.__path__[0])


INFO = get_provider_info()
[CONNECTION_TYPE] = INFO["connection-types"]


def test_the_entry_point() -> None:
    entries = entry_points(group="apache_airflow_provider")
    [entry] = [entry for entry in entries if entry.value.startswith("airflow_provider_ag")]
    assert entry.load()() == INFO
    assert (INFO["package-name"], INFO["versions"]) == ("airflow-provider-agentruns", [__version__])


def test_airflows_schema() -> None:
    jsonschema.validate(INFO, json.loads((AIRFLOW / "provider_info.schema.json").read_text()))


def test_every_named_module_and_class_exists() -> None:
    for concept in ("hooks", "operators", "sensors", "triggers"):
        for module in INFO[concept][0]["python-modules"]:
            assert vars(importlib.import_module(module))
    hook = import_string(CONNECTION_TYPE["hook-class-name"])
    assert (hook.conn_type, hook.hook_name) == (CONNECTION_TYPE["connection-type"], CONNECTION_TYPE["hook-name"])
    for link in INFO["extra-links"]:
        assert issubclass(import_string(link), BaseOperatorLink)


def test_the_form_has_a_field_for_each_setting() -> None:
    fields = CONNECTION_TYPE["conn-fields"]
    assert set(fields) == set(Settings.model_fields) - {"base_url", "token"}
    assert all(field["label"] and field["description"].endswith(".") for field in fields.values())
    outdated = "run `python -m tests.support.connection_fields`"
    assert connection_fields.FILE.read_text(encoding="utf-8") == connection_fields.text(), outdated


def test_the_defaults_in_the_form() -> None:
    fields = CONNECTION_TYPE["conn-fields"]
    shown = {name: field["schema"]["default"] for name, field in fields.items() if "default" in field["schema"]}
    assert set(shown) >= {"timeout", "rate_limit", "max_retries", "verify", "allow_http"}
    for name, default in shown.items():
        jsonschema.validate(default, fields[name]["schema"])
        # Saving an unchanged form has no effect.
        one = Settings.from_parts(password="mk_test_1", extra={name: default})
        assert one == Settings.from_parts(password="mk_test_1"), name


def test_the_form_hides_the_webhook_secret() -> None:
    assert CONNECTION_TYPE["conn-fields"]["webhook_secret"]["schema"]["format"] == "password"
    # Airflow masks a field of this name in logs and in its API.
    assert redact({"webhook_secret": ["the-secret"]}) == {"webhook_secret": ["***"]}


@needs_declared_form
def test_airflow_builds_the_form() -> None:
    manager = ProvidersManager()
    widgets = {
        name
        for name, widget in manager.connection_form_widgets.items()
        if widget.package_name == "airflow-provider-agentruns"
    }
    assert widgets == {f"extra__agentruns__{name}" for name in CONNECTION_TYPE["conn-fields"]}
    assert manager.field_behaviours["agentruns"]["relabeling"]["password"] == "API token"
