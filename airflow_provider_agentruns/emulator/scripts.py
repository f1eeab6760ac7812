# SPDX-License-Identifier: Apache-2.0
"""
The words that the script of an agent is written in.

A script is a generator function that takes a :class:`Case`::

    def reviewer(case):
        '''Looks something up, asks one question, and reports.'''
        yield Work(0.2, "look_up", "Looks the company up")
        [answer] = yield Ask([{"agent": "reviewer", "label": "Is this right?"}])
        if decision_in(answer) == "reject":
            raise Fails("Rejected", "A person said no")
        return [{"title": "Report", "type": "report"}]

What it returns is the run's artifacts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

#: A JSON object.
Json = dict[str, Any]

ScriptBody = Generator["Work | Delegate | Ask", Any, "list[Json] | None"]


@dataclass(frozen=True, slots=True)
class Context:
    """What a run is about, e.g. the business with some id; both are None for a run in a thread without one."""

    type: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """
    What a script is told about its run.

    :param rng: Seeded for this run: the same choices in each repetition.
    """

    run_id: str
    agent: str
    context: Context
    rng: Random


Script = Callable[[Case], ScriptBody]


@dataclass(frozen=True, slots=True)
class Work:
    """
    One step of work.

    :param seconds: How long it takes, at speed 1.
    :param name: What programs call the step.
    :param label: What people call it.
    :param agent: Who does it; by default whoever the enclosing step names.
    :param artifacts: What the step shows once it is done.
    """

    seconds: float
    name: str
    label: str
    agent: str | None = None
    artifacts: Sequence[Json] = ()


@dataclass(frozen=True, slots=True)
class Delegate:
    """
    A step inside which another script runs. Its result is what that script returns.

    :param script: A generator, already called: ``Delegate(search(case), "search", "Searches")``.
    """

    script: ScriptBody
    name: str
    label: str
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """
    Questions that the run waits with, all at once. Their result is the answers, in the same order.

    :param values: One interrupt value for each. A JSON schema under ``input_schema`` in it is enforced.
    """

    values: Sequence[Json]


class Fails(Exception):  # noqa: N818 -- reads as a sentence: the script raises Fails
    """
    What a script raises to end as an error. An enclosing script may catch it.

    :param label: What the error step shows to people.
    :param message: What went wrong.
    """

    def __init__(self, label: str, message: str, *, name: str = "error") -> None:
        super().__init__(f"{label}: {message}")
        self.label = label
        self.message = message
        self.name = name


def decision_in(answer: Any) -> str:
    """
    Read a decision out of an answer, in lower case.

    :param answer: A word such as ``approve``, a list of one, or an object with a ``decision``.
    """
    if isinstance(answer, dict) and "decision" in answer:
        return decision_in(answer["decision"])
    if isinstance(answer, list) and len(answer) == 1:
        return decision_in(answer[0])
    return answer.strip().lower() if isinstance(answer, str) else json.dumps(answer)
