# SPDX-License-Identifier: Apache-2.0
"""Faults of what an answer says: JSON that nobody expected, in bodies and in the events of streams."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import formatdate
from typing import Any

from airflow_provider_agentruns.emulator.faults.base import Fault, FaultError, always, at_least, known_as
from airflow_provider_agentruns.emulator.faults.exchange import Exchange
from airflow_provider_agentruns.emulator.ids import timestamp
from airflow_provider_agentruns.emulator.scripts import Json

_STATEFUL = ("run", "thread")
_TEXTS = ("title", "summary", "label", "name", "message")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_LONGEST_SKEW = 10 * 365 * 86400.0


@dataclass(frozen=True, kw_only=True)
class _Content(Fault):
    taken: bool = always()

    def altered(self, value: Any) -> Any:
        """Change the JSON value of an answer, or of one event."""
        raise NotImplementedError

    def written(self, value: Any) -> bytes:
        """Write the changed value."""
        return json.dumps(self.altered(value)).encode()

    async def meet(self, exchange: Exchange) -> None:
        """Change what the service answers."""
        async with exchange.carried_out() as answer:
            if not answer.is_stream:
                body = await answer.body()
                await exchange.whole(
                    answer.status, answer.headers, self.written(json.loads(body)) if answer.is_json else body
                )
                return
            await exchange.begin(answer.status, answer.headers)
            async for event in answer.pieces():
                head, data = event.rstrip().split(b"data: ", 1)
                await exchange.piece(head + b"data: " + self.written(json.loads(data)) + b"\n\n")
            await exchange.end()


@known_as("unknown status")
@dataclass(frozen=True, kw_only=True)
class UnknownStatus(_Content):
    """
    Gives each run and thread in the answer a status that the contract does not know. Carried out.

    :param status: The status.
    """

    status: str = "paused"

    def altered(self, value: Any) -> Any:
        """Change the status of each run and thread."""
        return _each_object(value, lambda it: it | {"status": self.status} if it.get("object") in _STATEFUL else it)


@known_as("unknown fields")
@dataclass(frozen=True, kw_only=True)
class UnknownFields(_Content):
    """Adds a field that the contract does not know to each object in the answer. Carried out."""

    def altered(self, value: Any) -> Any:
        """Add a field."""
        return _each_object(value, lambda it: it | {"x_unknown": {"since": "tomorrow", "values": [1, None]}})


@known_as("null objects")
@dataclass(frozen=True, kw_only=True)
class NullObjects(_Content):
    """
    Puts null where the answer has an object, also in lists. Carried out.

    :param field: Only in fields of this name; without it, wherever there is one in the answer.
    """

    field: str | None = None

    def altered(self, value: Any) -> Any:
        """Put null for each object."""
        if not isinstance(value, dict):
            return value
        return {name: self._nulled(name, it) for name, it in value.items()}

    def _nulled(self, name: str, value: Any) -> Any:
        if self.field in (None, name):
            if isinstance(value, dict):
                return None
            return [None if isinstance(it, dict) else it for it in value] if isinstance(value, list) else value
        if isinstance(value, list):
            return [self.altered(it) for it in value]
        return self.altered(value)


@known_as("gigantic artifact")
@dataclass(frozen=True, kw_only=True)
class GiganticArtifact(_Content):
    """
    Adds a gigantic artifact to the output of the first completed run in the answer. Carried out.

    :param megabytes: How large it is.
    """

    megabytes: float = at_least(0, 20.0)

    def altered(self, value: Any) -> Any:
        """Add the artifact to the first output."""
        left = [{"title": "Gigantic", "type": "gigantic", "summary": "x" * int(self.megabytes * 1_000_000)}]

        def add(it: Json) -> Json:
            if it.get("object") != "run" or not it.get("output") or not left:
                return it
            return it | {"output": it["output"] | {"artifacts": [*it["output"]["artifacts"], left.pop()]}}

        return _each_object(value, add)


@known_as("deep nesting")
@dataclass(frozen=True, kw_only=True)
class DeepNesting(_Content):
    """
    Adds a field of lists inside lists to the answer, deeper than parsers go. Carried out.

    :param depth: How many lists.
    """

    depth: int = at_least(0, 100_000)

    def written(self, value: Any) -> bytes:
        """Add the field as text: nothing here could write such a value."""
        return json.dumps(value).encode()[:-1] + b', "nested": ' + b"[" * self.depth + b"]" * self.depth + b"}"


@known_as("duplicate interrupts")
@dataclass(frozen=True, kw_only=True)
class DuplicateInterrupts(_Content):
    """
    Shows each interrupt of a run several times, with the same id. Carried out.

    :param copies: How often each is shown.
    """

    copies: int = at_least(1, 2)

    def altered(self, value: Any) -> Any:
        """Repeat the interrupts."""
        return _each_object(
            value, lambda it: it | {"interrupts": it["interrupts"] * self.copies} if it.get("object") == "run" else it
        )


@known_as("half surrogates")
@dataclass(frozen=True, kw_only=True)
class HalfSurrogates(_Content):
    r"""Ends each title, summary, label, name and message with half of a pair, ``\ud83d``. Carried out."""

    def altered(self, value: Any) -> Any:
        """Add what is no character to each text."""
        return _each_object(
            value, lambda it: it | {name: it[name] + "\ud83d" for name in _TEXTS if isinstance(it.get(name), str)}
        )


@known_as("clock skew")
@dataclass(frozen=True, kw_only=True)
class ClockSkew(_Content):
    """
    Sends the header ``Date`` and all times in the answer as a clock that is wrong has them. Carried out.

    :param seconds: How far it is ahead; below 0, behind. Ten years at most.
    """

    seconds: float = 3600.0

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        if abs(self.seconds) > _LONGEST_SKEW:
            raise FaultError(f"must be ten years at most, not {self.seconds!r} seconds", "seconds")

    def altered(self, value: Any) -> Any:
        """Shift each time."""
        if isinstance(value, str) and _MOMENT.fullmatch(value):
            with suppress(ValueError, OverflowError):
                return timestamp(datetime.fromisoformat(value) + timedelta(seconds=self.seconds))
        if isinstance(value, list):
            return [self.altered(it) for it in value]
        return {name: self.altered(it) for name, it in value.items()} if isinstance(value, dict) else value

    async def meet(self, exchange: Exchange) -> None:
        """Shift the header as well."""
        exchange.date = formatdate(time.time() + self.seconds, usegmt=True)
        await super().meet(exchange)


def _each_object(value: Any, change: Callable[[Json], Json]) -> Any:
    """Change each object in a JSON value, the inner ones first."""
    if isinstance(value, dict):
        return change({name: _each_object(it, change) for name, it in value.items()})
    return [_each_object(it, change) for it in value] if isinstance(value, list) else value
