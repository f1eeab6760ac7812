# SPDX-License-Identifier: Apache-2.0
"""What came of one component that met one fault, and how the table says it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SHORT = re.compile(r"^AgentRuns?|Error$")


@dataclass(frozen=True, slots=True)
class Cell:
    """
    One call, task or wait.

    :param call: Which of several calls of the component.
    :param error: The class of the last error; empty where it ended well.
    :param in_doubt: Whether that error says that the service may have carried the request out.
    :param tries: How many tries the task took.
    :param requests: How many requests reached the service.
    :param at_least: Whether time decides how many more there are.
    :param runs: Runs that were started; None where that is nothing that the component does.
    :param answers: Answers that were taken; likewise.
    :param met: Whether the fault has met any request of it.
    """

    error: str = ""
    call: str = ""
    in_doubt: bool = False
    tries: int = 1
    requests: int = 0
    at_least: bool = False
    runs: int | None = None
    answers: int | None = None
    met: bool = True

    def __str__(self) -> str:
        """Say it in the table's words."""
        words = [self.call] if self.call else []
        words.append(f"✗ {short(self.error)}{'?' * self.in_doubt}" if self.error else "✓")
        words.append(f"{self.requests}{'+' * self.at_least}")
        if self.runs is not None:
            words.append(f"r{self.runs}")
        if self.answers is not None:
            words.append(f"a{self.answers}")
        if self.tries > 1:
            words.append(f"t{self.tries}")
        if not self.met:
            words.append("unmet")
        return " ".join(words)


def short(error: str) -> str:
    """Return the name of an error class without what all of them have."""
    return _SHORT.sub("", error) or error


def written(cells: list[Cell] | str) -> str:
    """Return what stands in the table for a component: its calls, or why there are none."""
    return cells if isinstance(cells, str) else "; ".join(map(str, cells))
