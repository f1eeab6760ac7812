# SPDX-License-Identifier: Apache-2.0
"""The components that have to do with the service: the columns of the table."""

from __future__ import annotations

from dataclasses import dataclass

RUN = "/v1/runs/[^/]+"


@dataclass(frozen=True, slots=True)
class Part:
    """
    One component, as the table has it.

    :param title: The head of its column.
    :param method: The method of the request that a fault meets.
    :param path: The path of that request, as a regular expression.
    :param after: How many of these requests come through before.
    :param task: How a DAG file has it; empty for what is no task. ``{run}`` is the run's id, ``{interrupt}`` what it
        asks, ``{conn}`` the connection.
    :param starts: Whether it starts a run.
    :param answers: Whether it answers an interrupt.
    :param most: The most requests that a wait in an event loop may take, where time decides how many; else 0.
    """

    title: str
    method: str = "GET"
    path: str = RUN
    after: int = 0
    task: str = ""
    starts: bool = False
    answers: bool = False
    most: int = 0

    @property
    def reads_listing(self) -> bool:
        """Whether it reads the listing of runs, however things go."""
        return self.most > 0

    @property
    def waits_in_loop(self) -> bool:
        """Whether it is a trigger."""
        return self.most > 0


_WAITS = 'run_id="{run}", wait_for="completed", timeout=8, poke_interval=0.1, '
_STARTS = 'agent="patient", business_id="{business}", on_interrupt="wait", timeout=8, poll_interval=0.1, '

#: By the names that the connections have as well.
PARTS = {
    "hook": Part("hook, sync"),
    "hook_async": Part("hook, async"),
    "sensor_poke": Part("sensor, poke", after=1, task="AgentRunSensor(" + _WAITS + 'mode="poke", '),
    "sensor_reschedule": Part("sensor, reschedule", after=1, task="AgentRunSensor(" + _WAITS + 'mode="reschedule", '),
    "sensor_deferrable": Part("sensor, deferrable", after=1, task="AgentRunSensor(" + _WAITS + "deferrable=True, "),
    "output": Part("output operator", task='AgentRunOutputOperator(run_id="{run}", timeout=8, deferrable=True, '),
    "start": Part(
        "run operator, blocking",
        "POST",
        "/v1/runs",
        task="AgentRunOperator(" + _STARTS + "deferrable=False, ",
        starts=True,
    ),
    "start_deferrable": Part(
        "run operator, deferrable",
        "POST",
        "/v1/runs",
        task="AgentRunOperator(" + _STARTS + "deferrable=True, ",
        starts=True,
    ),
    "resume": Part(
        "resume operator",
        "POST",
        RUN + "/resume",
        task='AgentRunResumeOperator(run_id="{run}", interrupt_id="{interrupt}", input="yes", ',
        answers=True,
    ),
    "review": Part(
        "review operator",
        "POST",
        RUN + "/resume",
        task='AnsweredReview(run_id="{run}", interrupt="{interrupt}", ',
        answers=True,
    ),
    "trigger": Part("trigger, poll", path="/v1/runs(/[^/]+)?", most=20),
    "trigger_stream": Part("trigger, stream", path=RUN + "/stream", most=30),
    "events": Part("event trigger", path="/v1/runs(/[^/]+)?", most=80),
}

TASKS = {name: part for name, part in PARTS.items() if part.task}
