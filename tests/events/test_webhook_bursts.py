# SPDX-License-Identifier: Apache-2.0
"""Many webhooks at a time, each several times, to several API servers: one event for each state of each run."""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from airflow_provider_agentruns.events.asset_uris import agent_run_asset
from airflow_provider_agentruns.events.signature import HEADER, sign
from tests.events.assets import Assets
from tests.events.sender import CONNECTION, SECRET, body_of, event
from tests.events.server import ServerProcess
from tests.support.airflow_home import migrate
from tests.support.postgres import Postgres

#: Webhooks per second, in all.
RATE = float(os.environ.get("WEBHOOKS_PER_SECOND", "60"))

#: How many runs there are; each comes to two states, and each of those is delivered three times.
RUNS = int(os.environ.get("WEBHOOK_RUNS", "30"))
DELIVERIES = 3

SERVERS = 2


@dataclass
class Sent:
    """What became of a webhook."""

    status: int
    seconds: float


@contextmanager
def servers(environment: dict[str, str]) -> Iterator[list[ServerProcess]]:
    """Run API servers over one database."""
    with ExitStack() as stack:
        processes = [stack.enter_context(ServerProcess(environment)) for _ in range(SERVERS)]
        for process in processes:
            process.wait_until_ready()
        yield processes


def states() -> list[dict[str, Any]]:
    """Return an event for each state of each run."""
    ids = [str(uuid.uuid4()) for _ in range(RUNS)]
    asked = [event("interrupted", run_id, asked={"int-1": {"label": "Is it right?"}}) for run_id in ids]
    return asked + [event("completed", run_id) for run_id in ids]


async def deliver(urls: list[str], events: list[dict[str, Any]], rate: float) -> list[Sent]:
    """Deliver each event several times, in any order and to any server, at a rate."""
    deliveries = [(body_of(one), url) for one in events for url in random.choices(urls, k=DELIVERIES)]  # noqa: S311
    random.shuffle(deliveries)
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(timeout=60, trust_env=False, limits=limits) as http:
        for url in urls:
            # The connection is read, and all that is imported at the first request is there.
            await http.post(f"{url}/agent-runs/webhooks/hooked", content=b"")

        async def send(body: bytes, url: str) -> Sent:
            begun = time.perf_counter()
            headers = {HEADER: sign(body, SECRET)}
            while True:
                try:
                    answer = await http.post(f"{url}/agent-runs/webhooks/hooked", content=body, headers=headers)
                except httpx.TransportError:
                    # The server has closed the connection that it was sent over. Whether it was taken is not known.
                    continue
                return Sent(answer.status_code, time.perf_counter() - begun)

        begun = time.perf_counter()
        sending = []
        for number, delivery in enumerate(deliveries):
            await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
            sending.append(asyncio.create_task(send(*delivery)))
        return await asyncio.gather(*sending)


async def check_burst(processes: list[ServerProcess], assets: Assets, what: str) -> None:
    """Deliver a burst, and see that each state has made one event of each asset that is about it."""
    every = assets.add(agent_run_asset("hooked"), dag_id="of_all")
    completed = assets.add(agent_run_asset("hooked", status="completed"), dag_id="of_completed")
    events = states()
    used, begun = sum(one.cpu_seconds for one in processes), time.perf_counter()
    sent = await deliver([one.url for one in processes], events, RATE)
    taken = time.perf_counter() - begun
    used = sum(one.cpu_seconds for one in processes) - used
    waits = sorted(one.seconds * 1000 for one in sent)
    print(
        f"\n{what}: {len(sent)} webhooks of {len(events)} states to {len(processes)} servers, {len(sent) / taken:.0f} "
        f"a second; {used / len(sent) * 1000:.1f} ms of a processor each; ms to the receipt: "
        f"median {statistics.median(waits):.0f}, p95 {waits[int(len(waits) * 0.95)]:.0f}, max {waits[-1]:.0f}"
    )
    assert Counter(one.status for one in sent) == {204: len(events) * DELIVERIES}
    told = Counter((payload["run_id"], payload["status"]) for payload in assets.payloads(every))
    runs = [one["data"]["object"] for one in events]
    assert told == Counter((run["id"], run["status"]) for run in runs)
    told = Counter(payload["run_id"] for payload in assets.payloads(completed))
    assert told == Counter(run["id"] for run in runs if run["status"] == "completed")
    assert assets.queued() == {"of_all", "of_completed"}
    assert assets.missed() == 0


@pytest.mark.timeout(300)
async def test_each_state_makes_one_event_on_sqlite(airflow_home: Path, assets: Assets) -> None:
    with servers({"AIRFLOW_CONN_HOOKED": CONNECTION}) as running:
        await check_burst(running, assets, "SQLite")


@pytest.mark.scale
@pytest.mark.timeout(400)
async def test_each_state_makes_one_event_on_postgresql(tmp_path: Path) -> None:
    with Postgres() as postgres:
        environment = {"AIRFLOW_CONN_HOOKED": CONNECTION, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.url}
        migrate(tmp_path, {**os.environ, **environment})
        engine = create_engine(postgres.url)

        @contextmanager
        def session() -> Iterator[Session]:
            with Session(engine) as session, session.begin():
                yield session

        with servers(environment) as running:
            await check_burst(running, Assets(session), "PostgreSQL")
        engine.dispose()
