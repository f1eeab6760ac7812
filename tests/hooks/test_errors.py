# SPDX-License-Identifier: Apache-2.0
"""The hook raises specific errors, and marks those that Airflow must not retry as final."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.exceptions import (
    AgentRunNotFoundError,
    AgentRunsError,
    AgentRunsValueError,
)
from tests.hooks.conftest import HookUser

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"
NO_RUN = "00000000-0000-4000-8000-000000000000"


def is_final(error: AgentRunsError) -> bool:
    """Whether Airflow fails the task without further tries, as the error itself says it should."""
    final = isinstance(error, AirflowFailException)
    assert final is not error.retryable
    return final


def test_an_unknown_id(agent_runs_emulator: Emulator, user: HookUser) -> None:
    for use in (
        lambda: user.call("resume_run", NO_RUN, "int_1", "yes"),
        lambda: user.call("get_thread", NO_RUN),
        lambda: list(user.iterate("stream_run", NO_RUN)),
    ):
        said = rf"404: There is no (run|thread) {NO_RUN}.*\. Check the ID"
        with pytest.raises(AgentRunNotFoundError, match=said) as caught:
            use()
        assert is_final(caught.value)


def test_a_wrong_argument_is_rejected_before_anything_is_sent(agent_runs_emulator: Emulator, user: HookUser) -> None:
    refused: list[tuple[str, Callable[[], object]]] = [
        ("run_id is a template that was not rendered", lambda: user.call("get_run", "{{ params.run_id }}")),
        ("set business_id, context_type with context_id, or thread_id", lambda: user.call("create_run", "instant")),
        ("input must be a JSON value", lambda: user.call("resume_run", "r-1", "int_1", object())),
        ("rating must be POSITIVE or NEGATIVE, not 'GOOD'", lambda: user.call("rate_artifact", "r-1", "a-1", "GOOD")),
        ("page_size must be at least 1, not 0", lambda: list(user.iterate("list_runs", page_size=0))),
        ("run_id is empty", lambda: list(user.iterate("stream_run", ""))),
    ]
    for said, use in refused:
        with pytest.raises(AgentRunsValueError, match=said) as caught:
            use()
        assert is_final(caught.value)
    assert agent_runs_emulator.requests == []
