# SPDX-License-Identifier: Apache-2.0
"""The README stays short, and no link in it is broken on a package index."""

from __future__ import annotations

import re
import tomllib

from tests.docs.blocks import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

#: The target of a link or of an image.
_TARGET = re.compile(r"\]\(([^)\s]+)\)")


def test_it_is_short() -> None:
    text = re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
    assert len(text.split()) < 650


def test_a_package_index_shows_no_broken_link() -> None:
    text = README
    for rule in PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    assert [target for target in _TARGET.findall(text) if not target.startswith("https:")] == []
    assert "[" not in re.sub(r"\[[^\]]*\]\(https:[^)]*\)|^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
