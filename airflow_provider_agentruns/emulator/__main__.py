# SPDX-License-Identifier: Apache-2.0
"""``python -m airflow_provider_agentruns.emulator``: the offline service, until it is told to end."""

from __future__ import annotations

import argparse
import logging
import shlex
import signal
import sys
import threading
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM comes; return the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        from airflow_provider_agentruns.emulator.server import Emulator
    except ModuleNotFoundError as missing:
        sys.stderr.write(f"{missing}: install airflow-provider-agentruns[emulator]\n")
        return 1
    try:
        emulator = Emulator(
            seed=options.seed,
            speed=options.speed,
            token=options.token,
            rate_limit=options.rate_limit or None,
            host=options.host,
            port=options.port,
            extra={},
        )
    except ValueError as error:
        parser.error(str(error))
    except (OSError, OverflowError) as error:
        sys.stderr.write(f"Cannot serve on {options.host}:{options.port}: {error}\n")
        return 1
    told_to_end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told_to_end.set())
    with emulator:
        connection = (
            f"agentruns://:{'YOUR_TOKEN' if options.token else emulator.token}@{emulator.host}:{emulator.port}/http"
        )
        sys.stdout.write(
            f"Agent runs are served at {emulator.url}; for Airflow: "
            f"export AIRFLOW_CONN_AGENTRUNS_DEFAULT={shlex.quote(connection)}\n"
        )
        sys.stdout.flush()
        told_to_end.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_agentruns.emulator",
        description="Serves the whole contract of agent runs on this machine, with scripted agents.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=8400, help="0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other ids and other content")
    parser.add_argument("--speed", type=float, default=1.0, help="seconds of an agent's work done in one second")
    parser.add_argument("--token", help="the only token that is good; without it any is")
    parser.add_argument("--rate-limit", type=int, default=20, help="requests within one second; 0 allows any number")
    return parser


if __name__ == "__main__":
    sys.exit(main())
