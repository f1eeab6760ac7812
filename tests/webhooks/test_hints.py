# SPDX-License-Identifier: Apache-2.0
"""
How waits hear of hints. Over a whole Airflow, with a triggerer, it is tested in ``tests/standalone/test_webhooks.py``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.polling.followed import Followed
from airflow_provider_agentruns.polling.line import Line
from airflow_provider_agentruns.polling.watch import Watch
from airflow_provider_agentruns.watching import hints
from tests.webhooks.sender import SECRET


class Kept:
    """What the supervisor says is kept, one answer after the other; the last one again and again."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.given_all = False
        #: Whether all answers were given, and the last one once more.
        self.done = asyncio.Event()

    async def ask(self) -> Any:
        """Answer."""
        self.asked += 1
        if self.given_all:
            self.done.set()
        self.given_all = len(self.answers) == 1
        answer = self.answers[0] if self.given_all else self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def follow(monkeypatch: pytest.MonkeyPatch, airflow_home: Path) -> Callable[..., Any]:
    """Return what follows hints for a while, and gives the runs that were hinted at."""
    monkeypatch.setattr(hints, "EVERY", 0.01)

    async def follow(kept: Kept, *waited: str, secret: str | None = SECRET) -> list[str]:
        extra = {"webhook_secret": secret} if secret else {}
        connection = {"conn_type": "agentruns", "password": "mk_test_1", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_HINTED", json.dumps(connection))
        line, hinted = Line("hinted"), list[str]()
        runs = {run_id: Followed(run_id, 0.0) for run_id in waited}
        task = asyncio.create_task(hints._follow(line, runs, lambda run: hinted.append(run.run_id), kept.ask))
        if secret and waited:
            await asyncio.wait_for(kept.done.wait(), 10)
        else:
            await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await line.close()
        return hinted

    return follow


async def test_each_hint_is_followed_once_and_only_where_somebody_waits(follow: Callable[..., Any]) -> None:
    first, other, again = [1.0, "a", "r-1"], [1.0, "b", "r-9"], [2.0, "c", "r-1"]
    kept = Kept(None, [first], [first, other], [first, other, again])
    assert await follow(kept, "r-1", "r-2") == ["r-1", "r-1"]


async def test_several_hints_at_once_are_one_for_each_run(follow: Callable[..., Any]) -> None:
    kept = Kept([[1.0, "a", "r-1"], [1.1, "b", "r-1"], [1.2, "c", "r-2"]])
    assert sorted(await follow(kept, "r-1", "r-2")) == ["r-1", "r-2"]


@pytest.mark.parametrize("odd", [None, "", 5, {}, [5, None, [], ["a"], [1.0, "a"]], [[1.0, ["a"], {}]]])
async def test_what_makes_no_sense_is_no_hint(follow: Callable[..., Any], odd: Any) -> None:
    assert await follow(Kept(odd, [[1.0, "z", "r-1"]]), "r-1") == ["r-1"]


async def test_who_cannot_be_asked_is_asked_again_and_that_is_said_once(
    follow: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    kept = Kept(RuntimeError("no answer"), TimeoutError(), RuntimeError("no answer"), [[1.0, "a", "r-1"]])
    assert await follow(kept, "r-1") == ["r-1"]
    assert [message for message in caplog.messages if "webhooks" in message] == [
        "Cannot hear from webhooks over connection 'hinted', and poll meanwhile: no answer"
    ]


@pytest.mark.parametrize(("secret", "waited"), [(None, ("r-1",)), (SECRET, ())])
async def test_without_a_secret_or_a_wait_nobody_is_asked(
    follow: Callable[..., Any], secret: str | None, waited: tuple[str, ...]
) -> None:
    kept = Kept([[1.0, "a", "r-1"]])
    assert await follow(kept, *waited, secret=secret) == []
    assert kept.asked == 0


async def test_where_there_is_no_triggerer_a_watch_goes_without_hints(
    agent_runs_emulator: Emulator, airflow_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Watch("agentruns_default")
    try:
        for _ in range(100):
            if watch._hints and watch._hints.done():
                break
            await asyncio.sleep(0.05)
        assert watch._hints is not None
        assert watch._hints.done()
        assert watch._hints.exception() is None
        assert not watch.failed
    finally:
        await watch.close()
    assert not [record for record in caplog.records if record.name.startswith("airflow_provider_agentruns")]
