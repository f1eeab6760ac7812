# SPDX-License-Identifier: Apache-2.0
"""The steps of an agent's script: a generator function that takes a :class:`Case` and returns the run's artifacts."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

Json = dict[str, Any]
ScriptBody = Generator["Work | Ask", Any, "list[Json] | None"]


@dataclass(frozen=True, slots=True)
class Context:
    """The resource that a run is about, such as a business."""

    type: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """The run that a script works on. ``rng`` returns the same random numbers in each repetition of the run."""

    run_id: str
    agent: str
    context: Context
    rng: Random


Script = Callable[[Case], ScriptBody]


class Fails(Exception):  # noqa: N818 -- reads as a sentence: the script raises Fails
    """A script raises this error to end the run. The innermost step that is running shows it."""

    def __init__(self, label: str, message: str, *, name: str = "error") -> None:
        super().__init__(f"{label}: {message}")
        self.label = label
        self.message = message
        self.name = name


@dataclass(frozen=True, slots=True)
class Work:
    """
    One step of work.

    :param seconds: The duration at speed 1, without that of inner steps.
    :param name: The step's name for programs.
    :param label: The step's name for people.
    :param agent: The agent that works. Default: the agent of the enclosing step.
    :param steps: Inner steps. ``Fails`` among them ends the run.
    """

    seconds: float
    name: str
    label: str
    agent: str | None = None
    steps: Sequence[Work | Fails] = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """
    Questions that interrupt the run, as interrupt values. The result is the list of answers in the same order.

    The service enforces a value's ``input_schema``.
    """

    values: Sequence[Json]


def decision_in(answer: Any) -> str:
    """Return the decision in an answer: a word such as ``approve``, a list of one word, or an object's ``decision``."""
    if isinstance(answer, dict) and "decision" in answer:
        return decision_in(answer["decision"])
    if isinstance(answer, list) and len(answer) == 1:
        return decision_in(answer[0])
    return answer.strip().lower() if isinstance(answer, str) else json.dumps(answer)
