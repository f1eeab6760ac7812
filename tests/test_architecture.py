# SPDX-License-Identifier: Apache-2.0
"""Imports point down the layers of ``docs/architecture.md``, without cycles, wherever in a module they stand."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import airflow_provider_agentruns

ROOT = Path(airflow_provider_agentruns.__path__[0])
NAME = ROOT.name

#: From top to bottom. Packages in one layer do not import each other.
LAYERS = (
    {"plugins", "decorators"},
    {"operators"},
    {"sensors"},
    {"base"},
    {"triggers"},
    {"polling", "events", "audit"},
    {"hooks", "links"},
    {"lineage", "metrics"},
    {"idempotency", "reviews", "airflow_adapter"},
    {"client"},
)

#: Small modules that every layer can import, and that import only each other.
SHARED = {"__init__", "arguments", "exceptions", "final_errors", "models", "outputs", "run_outcome", "text"}

#: The offline service stands beside the layers.
BESIDE = {"emulator": {"models", "exceptions", "__init__"}, "get_provider_info": {"__init__"}}

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
    if "node_modules" not in path.parts
}


def imports(module: str) -> Iterator[str]:
    """Yield the modules of this package that a module imports, anywhere in its code."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name == NAME or name.startswith(f"{NAME}."):
                target = name.removeprefix(NAME).removeprefix(".")
                yield target if target in MODULES else target.rpartition(".")[0] or "__init__"


def package(module: str) -> str:
    """Return the package or top-level module that contains a module."""
    return module.partition(".")[0]


def allowed(source: str, target: str) -> bool:
    if source == target or target in SHARED:
        return True
    if source in BESIDE or target in BESIDE:
        return target in BESIDE.get(source, ())
    ranks = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
    return source in ranks and target in ranks and ranks[source] < ranks[target]


def test_every_module_belongs_to_a_layer() -> None:
    known = {"", *SHARED, *BESIDE, *(name for layer in LAYERS for name in layer)}
    assert {package(module) for module in MODULES} <= known


@pytest.mark.parametrize("source", sorted({package(module) for module in MODULES} - {""}))
def test_imports_point_down(source: str) -> None:
    wrong = {
        f"{module} imports {target}"
        for module in MODULES
        if package(module) == source
        for target in imports(module)
        if not allowed(source, package(target))
    }
    assert not wrong


def test_there_are_no_cycles() -> None:
    # A package's __init__ that imports its modules for users is not part of a cycle.
    graph = {module: {target for target in imports(module) if target != module} for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as e:
        pytest.fail(" -> ".join(e.args[1]))


def test_files_are_short() -> None:
    lines = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in MODULES.items()}
    assert {module: count for module, count in lines.items() if count > 350} == {}


def test_each_package_says_what_belongs_there() -> None:
    for path in ROOT.rglob("__init__.py"):
        if "node_modules" not in path.parts:
            assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path
