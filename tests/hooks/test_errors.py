# SPDX-License-Identifier: Apache-2.0
"""The hook raises specific errors, and marks those that Airflow must not retry as final."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.exceptions import (
    AgentRunConflictError,
    AgentRunNotFoundError,
    AgentRunsAuthError,
    AgentRunsConnectionError,
    AgentRunsError,
    AgentRunsValueError,
)
from tests.hooks.conftest import HookUser
from tests.hooks.connections import TOKEN, connection_json
from tests.support.wire import Wire

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"
NO_RUN = "00000000-0000-4000-8000-000000000000"


def is_final(error: AgentRunsError) -> bool:
    """Whether Airflow fails the task without further tries, as the error itself says it should."""
    final = isinstance(error, AirflowFailException)
    assert final is not error.retryable
    return final


@pytest.mark.agent_runs(token="mk_test_right")
def test_a_wrong_token(agent_runs_emulator: Emulator, user: HookUser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AGENTRUNS_DEFAULT", connection_json(agent_runs_emulator.url))
    with pytest.raises(AgentRunsAuthError) as caught:
        user.call("get_run", NO_RUN)
    assert is_final(caught.value)
    assert (caught.value.status_code, caught.value.method, caught.value.path) == (401, "GET", f"/v1/runs/{NO_RUN}")
    assert caught.value.messages == ("A valid token is needed: Authorization: Bearer ...",)
    assert "Check the API token of the Airflow connection" in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_an_unknown_id(agent_runs_emulator: Emulator, user: HookUser) -> None:
    calls = {
        "get_run": [NO_RUN],
        "resume_run": [NO_RUN, "int_1", "yes"],
        "rate_artifact": [NO_RUN, NO_RUN, "POSITIVE"],
        "get_thread": [NO_RUN],
        "stream_run": [NO_RUN],
    }
    for method, arguments in calls.items():
        use = (lambda *call: list(user.iterate(*call))) if method == "stream_run" else user.call
        said = rf"404: There is no (run|thread) {NO_RUN}.*\. Check the ID"
        with pytest.raises(AgentRunNotFoundError, match=said) as caught:
            use(method, *arguments)
        assert is_final(caught.value)
        assert caught.value.status_code == 404


def test_an_interrupt_that_is_not_pending(agent_runs_emulator: Emulator, user: HookUser) -> None:
    run_id = agent_runs_emulator.service.create_run("instant", business_id=BUSINESS).id
    with pytest.raises(AgentRunConflictError, match=r"409: .* interrupt int_1 is not pending") as caught:
        user.call("resume_run", run_id, "int_1", "yes")
    assert is_final(caught.value)
    assert caught.value.status_code == 409
    assert not caught.value.in_doubt


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


def test_a_lost_response_leaves_a_start_in_doubt(
    agent_runs_emulator: Emulator, user: HookUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Wire(agent_runs_emulator.url) as wire:
        monkeypatch.setenv("AIRFLOW_CONN_AGENTRUNS_DEFAULT", connection_json(wire.url, max_retries=5))
        wire.once("POST", "/v1/runs", "lose the answer")
        with pytest.raises(AgentRunsConnectionError, match=r"POST /v1/runs: .* gave no usable response") as caught:
            user.call("create_run", "instant", business_id=BUSINESS)
        assert wire.count("POST", "/v1/runs") == 1
    assert not is_final(caught.value)
    assert caught.value.in_doubt
    assert len(agent_runs_emulator.service.runs) == 1


def test_a_final_error_keeps_the_name_of_its_class(agent_runs_emulator: Emulator, user: HookUser) -> None:
    seen = []
    for _ in range(2):
        with pytest.raises(AgentRunNotFoundError) as caught:
            user.call("get_run", NO_RUN)
        seen.append(type(caught.value))
        assert caught.value.__cause__ is None
    assert seen[0] is seen[1]
    assert (seen[0].__name__, seen[0].__module__) == ("AgentRunNotFoundError", AgentRunNotFoundError.__module__)
