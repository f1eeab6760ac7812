# SPDX-License-Identifier: Apache-2.0
"""The outcome of one component under one fault, and what must be true of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_provider_agentruns import exceptions
from tests.faults.components import COMPONENTS

#: The hook's call that reads a run while the fault applies to each request.
LASTING = "lasting"

#: The most requests of a component, whatever happens. It shows loops, and no machine is too slow for it.
_MOST_REQUESTS = 200

_SHORT = re.compile(r"^AgentRuns?|Error$")

#: Responses that another try cannot change, and the errors that they cause.
FINAL = {
    "401": "AgentRunsAuthError",
    "403": "AgentRunsAuthError",
    "404": "AgentRunNotFoundError",
    "404 at first": "AgentRunNotFoundError",
    "409": "AgentRunConflictError",
    "422": "AgentRunInvalidRequestError",
}

#: Those of them that end a wait. After the others a trigger reads the connection again and repeats the request.
_END_A_WAIT = ("404", "404 at first", "409", "422")

#: The error of a read while the fault lasts. Other faults cause none.
_WHILE_IT_LASTS = (
    FINAL
    | {"429": "AgentRunsRateLimitError"}
    | dict.fromkeys(("500", "502", "503", "504", "foreign error"), "AgentRunsServerError")
    | dict.fromkeys(("truncated JSON", "malformed JSON", "proxy page", "empty body", "redirect"), "AgentRunsAPIError")
    | dict.fromkeys(
        [
            *("connection closed", "request reset", "answer reset", "answer lost"),
            *("slow answer", "slow body", "hanging", "body cut off"),
        ],
        "AgentRunsConnectionError",
    )
)

#: Components that make no request that the fault applies to.
_MAY_BE_UNMET = {
    # A single wait does not need the listing.
    ("listing lags", "trigger"),
    ("listing lags", "trigger_stream"),
    # The watcher keeps its connection, and does not read a run that the listing shows as completed.
    ("connection closed", "events"),
    ("404 at first", "events"),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    The outcome of a call, a task, or a wait.

    :param error: The class of the last error, or an empty text.
    :param call: Which of several calls of the component.
    :param in_doubt: Whether the error says that the service may have carried out the request.
    :param requests: The number of requests that reached the service. The table does not show it.
    :param runs: Runs that were started. None if the component starts none.
    :param answers: Answers that were accepted. None if the component gives none.
    :param met: Whether the fault applied to a request.
    """

    error: str = ""
    call: str = ""
    in_doubt: bool = False
    tries: int = 1
    requests: int = 0
    runs: int | None = None
    answers: int | None = None
    met: bool = True

    def __str__(self) -> str:
        """Return the text of the cell."""
        words = [self.call] if self.call else []
        name = _SHORT.sub("", self.error) or self.error
        words.append(f"✗ {name}{'?' * self.in_doubt}" if self.error else "✓")
        words += [f"r{self.runs}"] if self.runs is not None else []
        words += [f"a{self.answers}"] if self.answers is not None else []
        words += [f"t{self.tries}"] if self.tries > 1 else []
        return " ".join(words)


def check(fault: str, name: str, outcome: Outcome) -> None:
    """
    Check the outcome of a component.

    :raises AssertionError: If something happened twice, was lost, or used up a retry.
    """
    where = f"{fault} x {name}: {outcome}, {outcome.requests} requests"
    assert outcome.met or (fault, name) in _MAY_BE_UNMET, f"the fault applied to no request: {where}"
    assert outcome.requests <= _MOST_REQUESTS, where
    for count in (outcome.runs, outcome.answers):
        assert count in (None, 0, 1), f"happened twice: {where}"
        if count is not None and not outcome.error:
            assert count == 1, f"reported as done, but it is not: {where}"
        if count and outcome.error:
            assert outcome.in_doubt, f"done, but reported as not done: {where}"
    if outcome.error:
        assert issubclass(getattr(exceptions, outcome.error), exceptions.AgentRunsError), where
    component = COMPONENTS[name]
    if component.waits:
        assert outcome.error in ("", FINAL.get(fault) if fault in _END_A_WAIT else ""), where
    elif component.task:
        _check_task(fault, name, outcome, where)
    else:
        _check_call(fault, outcome, where)


def _check_task(fault: str, name: str, outcome: Outcome, where: str) -> None:
    if fault == "refused":
        assert (outcome.error, outcome.tries) == ("AgentRunsConnectionError", 3), where
    elif fault in FINAL and not (fault == "404 at first" and COMPONENTS[name].does == "start"):
        assert outcome.tries == 1, f"used up a retry: {where}"
        # The worker that the triggerer resumes reads the run successfully.
        assert outcome.error == FINAL[fault] or (name == "sensor_deferrable" and not outcome.error), where
    else:
        assert not outcome.error, where
        assert outcome.tries <= 2, where


def _check_call(fault: str, outcome: Outcome, where: str) -> None:
    # After a 429, a time budget limits the requests.
    assert outcome.requests <= 2 or fault == "429", where
    if outcome.call == LASTING:
        assert outcome.error == _WHILE_IT_LASTS.get(fault, ""), where
    elif fault in FINAL:
        assert outcome.error == FINAL[fault], where
        assert outcome.requests <= 1, where
    elif outcome.call == "start" and outcome.error:
        assert outcome.requests <= 1, f"repeated a request in doubt: {where}"
