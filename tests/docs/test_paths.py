# SPDX-License-Identifier: Apache-2.0
"""Files and functions that the documents for maintainers name exist."""

from __future__ import annotations

import re

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
