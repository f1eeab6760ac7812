# SPDX-License-Identifier: Apache-2.0
"""Directives that generate parts of the reference from code: connection fields, command line, and faults."""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
from typing import Any

from docutils import nodes
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


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("connection-fields", ConnectionFields)
    app.add_directive("command-line", CommandLine)
    app.add_directive("emulator-faults", FaultList)
    return {"parallel_read_safe": True}
