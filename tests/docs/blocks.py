# SPDX-License-Identifier: Apache-2.0
"""The code blocks of the documentation and of the README, and the kind of each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^(?P<fence>```+)(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=fence)\s*$", re.MULTILINE | re.DOTALL)

#: Kinds that the language determines.
_DATA = ("json", "ini", "yaml", "nginx", "dockerfile", "shell", "text")


@dataclass(frozen=True)
class Block:
    """
    A code block.

    :param page: The path of its page, relative to the repository.
    :param line: Its first line on the page.
    """

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def kind(self) -> str:
        """What a test does with it; empty if no test knows what to do."""
        if self.language in _DATA:
            return self.language
        if self.language != "python":
            return ""
        if re.search(r"^def test_", self.text, re.MULTILINE):
            return "sample test"
        if re.search(r"^with DAG\(", self.text, re.MULTILINE):
            return "dag"
        return "tasks" if "task_id=" in self.text else "python"

    @property
    def asks_people(self) -> bool:
        """Whether a person answers in it."""
        return re.search(r"\b(AgentRunReviewOperator|review_rounds)\(", self.text) is not None


def pages() -> list[Path]:
    built = DOCS / "_build"
    documentation = [path for path in sorted(DOCS.rglob("*.md")) if built not in path.parents]
    return [ROOT / "README.md", ROOT / "example_dags" / "README.md", *documentation]


def all_blocks() -> list[Block]:
    """Return all code blocks. A language in braces is a Sphinx directive."""
    found = []
    for path in pages():
        text = path.read_text(encoding="utf-8")
        for fence in _FENCE.finditer(text):
            if not (language := fence["language"].strip()).startswith("{"):
                line = text.count("\n", 0, fence.start()) + 1
                found.append(Block(str(path.relative_to(ROOT)), line, language, fence["text"]))
    return found


def blocks(*kinds: str) -> list[Block]:
    return [block for block in all_blocks() if block.kind in kinds]
