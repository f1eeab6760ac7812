# SPDX-License-Identifier: Apache-2.0
"""Directives that generate parts of the reference from code: connection fields, command line, faults, and models."""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from docutils import nodes
from pydantic import BaseModel
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from tables import inline, table

_MEANINGS = {
    "host": "The URL of the service. A host without a scheme uses https.",
    "password": "A token of the same environment as the base URL.",
}


class ConnectionFields(SphinxDirective):
    """The fields of the connection form, from the provider's metadata."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        from airflow_provider_agentruns.get_provider_info import get_provider_info

        [kind] = get_provider_info()["connection-types"]
        named = kind["ui-field-behaviour"]["relabeling"]
        shown = kind["ui-field-behaviour"]["placeholders"]
        rows = [(label, field, _MEANINGS[field], shown.get(field, "")) for field, label in named.items()]
        rows += [
            (field["label"], f"extra.{name}", field["description"], _default(field["schema"]))
            for name, field in kind["conn-fields"].items()
        ]
        return [table(["form field", "stored in", "meaning", "default"], rows, code_columns=(1, 3))]


class CommandLine(SphinxDirective):
    """The options of a module with a command line, such as ``emulator``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        module = importlib.import_module(f"airflow_provider_agentruns.{self.arguments[0]}.__main__")
        rows = [
            (_usage(action), action.help or "", "" if action.default in (None, False, []) else str(action.default))
            for action in module._parser()._actions
            if not isinstance(action, argparse._HelpAction)
        ]
        return [table(["option", "meaning", "default"], rows, code_columns=(0, 2))]


class FaultList(SphinxDirective):
    """All faults of the offline service, with their parameters."""

    def run(self) -> list[nodes.Node]:
        """Return a heading and a list for each group."""
        from airflow_provider_agentruns.emulator.fault_table import FAULTS

        parts: list[nodes.Node] = []
        for title, faults in itertools.groupby(FAULTS.values(), lambda fault: fault.group):
            section = nodes.section("", nodes.title("", title), ids=[nodes.make_id(f"faults-{title}")])
            section += nodes.definition_list("", *map(_fault, faults))
            parts.append(section)
        return parts


class ModelFields(SphinxDirective):
    """The fields of a model. The argument is the name of a class in :mod:`airflow_provider_agentruns.models`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        model = getattr(importlib.import_module("airflow_provider_agentruns.models"), self.arguments[0])
        rows = [
            (name, _type_name(field.annotation), "always" if field.is_required() else "")
            for name, field in model.model_fields.items()
        ]
        return [table(["field", "type", "present"], rows, code_columns=(0, 1))]


def _default(schema: dict[str, Any]) -> str:
    default = schema.get("default")
    return "" if default is None else default if isinstance(default, str) else json.dumps(default)


def _usage(action: argparse.Action) -> str:
    [option, *_] = action.option_strings
    takes = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    return f"{option}{takes}"


def _fault(fault: Any) -> nodes.definition_list_item:
    what = nodes.definition("", nodes.paragraph("", "", *inline(fault.description)))
    return nodes.definition_list_item("", nodes.term("", "", nodes.literal(fault.usage, fault.usage)), what)


def _type_name(annotation: Any) -> str:
    """Return a type as text, without the metadata for pydantic."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _type_name(get_args(annotation)[0])
    if annotation is NoneType:
        return "None"
    if origin in (Union, UnionType):
        return " | ".join(dict.fromkeys(map(_type_name, get_args(annotation))))
    if origin is not None:
        return f"{origin.__name__}[{', '.join(map(_type_name, get_args(annotation)))}]"
    return str(getattr(annotation, "__name__", annotation))


def _without_signature(app: Sphinx, what: str, name: str, it: Any, *_: Any) -> tuple[str, str] | None:
    """Omit the constructor's signature of models and enumerations, because users do not create them."""
    return ("", "") if isinstance(it, type) and issubclass(it, BaseModel | Enum) else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives and the handler for signatures."""
    app.add_directive("connection-fields", ConnectionFields)
    app.add_directive("command-line", CommandLine)
    app.add_directive("emulator-faults", FaultList)
    app.add_directive("model-fields", ModelFields)
    app.connect("autodoc-process-signature", _without_signature)
    return {"parallel_read_safe": True}
