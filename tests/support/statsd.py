# SPDX-License-Identifier: Apache-2.0
"""A StatsD server that keeps what it is sent, as the metrics of a whole Airflow are."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from types import TracebackType


@dataclass(frozen=True)
class Metric:
    """
    One value that was sent.

    :param tags: What follows the name in InfluxDB's notation.
    :param kind: ``c`` for a count, ``g`` for a gauge, ``ms`` for a time in milliseconds.
    """

    name: str
    tags: dict[str, str]
    value: float
    kind: str


class StatsdServer:
    """Takes metrics on a port of the loopback interface, as a context manager."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self.port: int = self._socket.getsockname()[1]
        self._metrics: list[Metric] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._take, name="statsd")

    @property
    def environment(self) -> dict[str, str]:
        """What has Airflow send its metrics here, with tags."""
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self.port),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        }

    def sent(self, name: str, **tags: str) -> list[Metric]:
        """Return what was sent under a name, with at least these tags."""
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
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _take(self) -> None:
        while not self._over.is_set():
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
