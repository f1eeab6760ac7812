# SPDX-License-Identifier: Apache-2.0
"""Tells people which faults there are."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Iterator

from airflow_provider_agentruns.emulator.faults.base import FAULTS, Fault, parameters_of

#: The modules of faults, with what they are about.
GROUPS = {
    "network": "The connection",
    "timing": "How the answer comes",
    "statuses": "Another status",
    "bodies": "No answer of the contract's",
    "content": "What the answer says",
    "lagging": "What the listing says",
    "streams": "Streams",
}
_PARAMETER = re.compile(r":param (\w+):\s+((?:(?!:param ).)+)", re.DOTALL)
_WIDTH = 110


def group_of(fault: type[Fault]) -> str:
    """Return which of the groups a fault belongs to, such as ``network``."""
    return fault.__module__.rpartition(".")[2]


def in_groups() -> Iterator[tuple[str, list[type[Fault]]]]:
    """Yield the title of each group, and its faults."""
    for group, title in GROUPS.items():
        yield title, [fault for fault in FAULTS.values() if group_of(fault) == group]


def what_happens(fault: type[Fault]) -> str:
    """Say in a few words what a fault does, and whether the request is carried out."""
    return " ".join(_docstring(fault).split("\n\n:param ")[0].split())


def parameters(fault: type[Fault]) -> dict[str, str]:
    """Say what each parameter of a fault means."""
    return {name: " ".join(text.split()) for name, text in _PARAMETER.findall(_docstring(fault))}


def describe() -> str:
    """List all faults with their parameters and the defaults."""
    return "\n\n".join("\n".join([title, "", *map(_entry, faults)]) for title, faults in in_groups())


def _docstring(fault: type[Fault]) -> str:
    return (inspect.getdoc(fault) or "").replace("``", "'")


def _entry(fault: type[Fault]) -> str:
    meanings = parameters(fault)
    texts = [what_happens(fault)]
    texts += [f"{it.name}={json.dumps(it.default)}: {meanings[it.name]}" for it in parameters_of(fault)]
    lines = [textwrap.fill(text, _WIDTH, initial_indent="      ", subsequent_indent="        ") for text in texts]
    return "\n".join([f"  {fault.name}", *lines])
