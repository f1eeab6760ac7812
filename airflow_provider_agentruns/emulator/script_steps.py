# SPDX-License-Identifier: Apache-2.0
"""
The steps that the script of an agent consists of.

A script is a generator function that takes a :class:`Case`, and returns the run's artifacts::

    def reviewer(case):
        '''Looks up a company, asks one question, and reports.'''
        yield Work(0.2, "look_up", "Looks up the company")
        [answer] = yield Ask([{"agent": "reviewer", "label": "Is this right?"}])
        if decision_in(answer) == "reject":
            raise Fails("Rejected", "The reviewer rejected the company")
        return [{"title": "Report", "type": "report"}]
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
    """The resource that a run is about, such as a business. Both fields are None if the thread has no context."""

    type: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """
    The run that a script works on.

    :param rng: Random numbers, seeded for this run, so that each repetition makes the same choices.
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

    :param seconds: The duration at speed 1.
    :param name: The name of the step for programs.
    :param label: The name of the step for people.
    :param agent: The agent that does the work. Default: the agent of the enclosing step.
    :param artifacts: The artifacts that the completed step shows.
    """

    seconds: float
    name: str
    label: str
    agent: str | None = None
    artifacts: Sequence[Json] = ()


@dataclass(frozen=True, slots=True)
class Delegate:
    """
    A step that runs another script. Its result is what that script returns.

    :param script: A generator: ``Delegate(search(case), "search", "Searches")``.
    """

    script: ScriptBody
    name: str
    label: str
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """
    Questions that interrupt the run, all at once. The result is the list of answers, in the same order.

    :param values: One interrupt value per question. If a value has an ``input_schema``, the service enforces it.
    """

    values: Sequence[Json]


class Fails(Exception):  # noqa: N818 -- reads as a sentence: the script raises Fails
    """
    Ends the run with an error when a script raises it. An enclosing script may catch it.

    :param label: The label of the error step, for people.
    :param message: What went wrong.
    """

    def __init__(self, label: str, message: str, *, name: str = "error") -> None:
        super().__init__(f"{label}: {message}")
        self.label = label
        self.message = message
        self.name = name
        #: Whether the run has an error step for it.
        self.reported = False


def decision_in(answer: Any) -> str:
    """
    Return the decision that an answer contains, in lower case.

    :param answer: A word such as ``approve``, a list of one word, or an object with a ``decision``.
    """
    if isinstance(answer, dict) and "decision" in answer:
        return decision_in(answer["decision"])
    if isinstance(answer, list) and len(answer) == 1:
        return decision_in(answer[0])
    return answer.strip().lower() if isinstance(answer, str) else json.dumps(answer)
