# SPDX-License-Identifier: Apache-2.0
"""A StatsD server that records the metrics of a complete Airflow."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from types import TracebackType


@dataclass(frozen=True)
class Metric:
    """
    One value.

    :param tags: Tags in InfluxDB's notation.
    :param kind: ``c`` for a count, ``g`` for a gauge, ``ms`` for a time in milliseconds.
    """

    name: str
    tags: dict[str, str]
    value: float
    kind: str


class StatsdServer:
    """Receives metrics on a loopback port, as a context manager."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self.port: int = self._socket.getsockname()[1]
        self._metrics: list[Metric] = []
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._receive, name="statsd")

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables with which Airflow sends its metrics here."""
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self.port),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        }

    def sent(self, name: str, **tags: str) -> list[Metric]:
        """Return the values of a metric that have at least these tags."""
        return [
            metric
            for metric in list(self._metrics)
            if metric.name == f"airflow.{name}" and tags.items() <= metric.tags.items()
        ]

    def __enter__(self) -> StatsdServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._thread.join()
        self._socket.close()

    def _receive(self) -> None:
        while not self._closed.is_set():
            try:
                lines = self._socket.recv(65536).decode()
            except TimeoutError:
                continue
            self._metrics.extend(map(_read, lines.splitlines()))


def _read(line: str) -> Metric:
    what, _, value = line.partition(":")
    name, *tags = what.split(",")
    number, kind = value.split("|")[:2]
    return Metric(name, dict(tag.split("=", 1) for tag in tags), float(number), kind)
