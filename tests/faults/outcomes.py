# SPDX-License-Identifier: Apache-2.0
"""The outcome of one component under one fault, and what must be true of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_provider_agentruns import exceptions

#: The hook's call that reads a run while the fault applies to each request.
LASTING = "lasting"

#: The most requests of a component. It shows loops, and no machine is too slow for it.
_MOST_REQUESTS = 200

_SHORT = re.compile(r"^AgentRuns?|Error$")

#: Components that make no request that the fault applies to.
_MAY_BE_UNMET = {
    # A single wait does not need the listing.
    ("listing lags", "trigger"),
    ("listing lags", "trigger_stream"),
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
        words = [self.call] if self.call else []
        name = _SHORT.sub("", self.error) or self.error
        words.append(f"✗ {name}{'?' * self.in_doubt}" if self.error else "✓")
        words += [f"r{self.runs}"] if self.runs is not None else []
        words += [f"a{self.answers}"] if self.answers is not None else []
        words += [f"t{self.tries}"] if self.tries > 1 else []
        return " ".join(words)


def check(fault: str, name: str, outcome: Outcome) -> None:
    """
    Check what must be true under any fault. The table shows the rest.

    :raises AssertionError: If something happened twice, was lost, or repeated a request in doubt.
    """
    where = f"{fault} x {name}: {outcome}, {outcome.requests} requests"
    assert outcome.met or (fault, name) in _MAY_BE_UNMET, f"the fault applied to no request: {where}"
    # After a 429, a time budget limits the requests of a call.
    most = 2 if outcome.call and fault != "429" else _MOST_REQUESTS
    assert outcome.requests <= (1 if outcome.call == "start" and outcome.error else most), where
    for count in (outcome.runs, outcome.answers):
        assert count in (None, 0, 1), f"happened twice: {where}"
        if count is not None and not outcome.error:
            assert count == 1, f"reported as done, but it is not: {where}"
        if count and outcome.error:
            assert outcome.in_doubt, f"done, but reported as not done: {where}"
    if outcome.error:
        assert issubclass(getattr(exceptions, outcome.error), exceptions.AgentRunsError), where
