# SPDX-License-Identifier: Apache-2.0
"""A StatsD server that records the metrics of a complete Airflow."""

from __future__ import annotations

import socketserver
import threading
from dataclasses import dataclass
from typing import Self


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


class StatsdServer(socketserver.UDPServer):
    max_packet_size = 65536

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.metrics: list[Metric] = []

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables with which Airflow sends its metrics here."""
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self.server_address[1]),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        }

    def sent(self, name: str, **tags: str) -> list[Metric]:
        return [
            metric
            for metric in list(self.metrics)
            if metric.name == f"airflow.{name}" and tags.items() <= metric.tags.items()
        ]

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, name="statsd", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(socketserver.BaseRequestHandler):
    server: StatsdServer

    def handle(self) -> None:
        self.server.metrics.extend(map(_read, self.request[0].decode().splitlines()))


def _read(line: str) -> Metric:
    what, _, value = line.partition(":")
    name, *tags = what.split(",")
    number, kind = value.split("|")[:2]
    return Metric(name, dict(tag.split("=", 1) for tag in tags), float(number), kind)
