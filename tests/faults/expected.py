# SPDX-License-Identifier: Apache-2.0
"""What must come of a cell by rules, whatever stands in the table."""

from __future__ import annotations

from airflow_provider_agentruns import exceptions
from tests.faults.cells import Cell
from tests.faults.hooks import LASTING
from tests.faults.parts import PARTS

#: Answers that no second try mends, and what they are to who gets one.
FINAL = {
    "401": "AgentRunsAuthError",
    "401 until rotated": "AgentRunsAuthError",
    "403": "AgentRunsAuthError",
    "404": "AgentRunNotFoundError",
    "404 at first": "AgentRunNotFoundError",
    "409": "AgentRunConflictError",
    "422": "AgentRunInvalidRequestError",
}

#: Those that a trigger takes for the end of a wait: at the others it reads the connection anew, and asks again.
_ENDS_A_WAIT = {"404", "404 at first", "409", "422"}


_BROKEN = dict.fromkeys(
    [
        *("connection closed", "request reset", "answer reset", "answer lost"),
        *("slow answer", "slow body", "hanging", "body cut off", "endless body"),
    ],
    "AgentRunsConnectionError",
)
_UNREADABLE = dict.fromkeys(
    ("truncated JSON", "malformed JSON", "proxy page", "empty body", "redirect", "deep nesting"), "AgentRunsAPIError"
)
_FAILING = dict.fromkeys(("500", "502", "503", "504", "foreign error"), "AgentRunsServerError")
_BORNE = dict.fromkeys(
    [
        *("slow head", "wrong content type", "unknown status", "unknown fields", "null objects"),
        *("gigantic artifact", "duplicate interrupts", "half surrogates", "clock skew"),
    ],
    "",
)

#: What reading a run comes to while the fault lasts; nothing where it can be read all the same.
_LASTING = FINAL | _BROKEN | _UNREADABLE | _FAILING | _BORNE | {"429": "AgentRunsRateLimitError"}


#: Where a component has such requests at times, but not in the table's runs.
_UNMET = {
    # One run alone is looked at by itself.
    ("listing lags", "trigger"),
    ("listing lags", "trigger_stream"),
    # It keeps the connection open that it has.
    ("connection closed", "events"),
    # A run that it has found completed is not asked for again.
    ("404 at first", "events"),
}


def check(fault: str, name: str, cell: Cell) -> None:
    """
    Check one cell.

    :raises AssertionError: If a run was started twice, an answer lost, a retry burned, or the like.
    """
    where = f"{fault} x {name}: {cell}"
    _counts(cell, where)
    assert cell.met or (fault, name) in _UNMET, f"the fault met nothing: {where}"
    if cell.error:
        assert issubclass(getattr(exceptions, cell.error), exceptions.AgentRunsError), where
    if PARTS[name].waits_in_loop:
        assert cell.error in ("", FINAL.get(fault) if fault in _ENDS_A_WAIT else ""), where
    elif PARTS[name].task:
        _task(fault, name, cell, where)
    else:
        _call(fault, cell, where)


def _counts(cell: Cell, where: str) -> None:
    for count in (cell.runs, cell.answers):
        assert count in (None, 0, 1), f"twice: {where}"
        if count is not None and not cell.error:
            assert count == 1, f"said to be done, and is not: {where}"
        if count and cell.error:
            assert cell.in_doubt, f"done, and said not to be: {where}"


def _task(fault: str, name: str, cell: Cell, where: str) -> None:
    appears = fault == "404 at first" and PARTS[name].starts
    if fault == "refused":
        assert (cell.error, cell.tries, cell.requests) == ("AgentRunsConnectionError", 3, 0), where
    elif fault in FINAL and not appears:
        assert cell.tries == 1, f"a retry was burned: {where}"
        # What only the triggerer meets, the worker that it wakes may not.
        assert cell.error == FINAL[fault] or (name == "sensor_deferrable" and not cell.error), where
    else:
        assert not cell.error, where
        assert cell.tries <= 2, where


def _call(fault: str, cell: Cell, where: str) -> None:
    if cell.call == LASTING:
        assert cell.error == _LASTING[fault], where
        assert cell.requests <= 2, where
    elif fault in FINAL:
        assert (cell.error, cell.requests) == (FINAL[fault], 1), where
    elif cell.call == "start" and cell.error:
        assert cell.requests <= 1, f"sent again: {where}"
