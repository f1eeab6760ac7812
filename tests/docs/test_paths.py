# SPDX-License-Identifier: Apache-2.0
"""Files and functions that the documents for maintainers name exist."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.docs.blocks import ROOT

_PACKAGE = ROOT / "airflow_provider_agentruns"

#: Folders that commands create.
_BUILT = {"dist/", "_build/html"}


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "docs/architecture.md", "docs/README.md"])
def test_named_files_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    named = set(re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|md|txt|toml))`", text)) - _BUILT
    bases = (ROOT, ROOT / "docs", _PACKAGE, *(path for path in _PACKAGE.iterdir() if path.is_dir()))
    assert named
    assert [name for name in named if not any((base / name).exists() for base in bases)] == []


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "example_dags/README.md"])
def test_linked_files_are_in_the_source_distribution(document: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    # Hatchling adds pyproject.toml.
    included = {*project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"], "pyproject.toml"}
    page = ROOT / document
    linked = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
    assert linked
    for link in linked:
        target = (page.parent / link).resolve()
        assert target.exists(), link
        assert target.relative_to(ROOT.resolve()).parts[0] in included, link
