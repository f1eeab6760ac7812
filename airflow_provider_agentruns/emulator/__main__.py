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
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_agentruns.emulator.faults import Rule


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM comes; return the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        from airflow_provider_agentruns.emulator.faults.describing import describe
        from airflow_provider_agentruns.emulator.server import ANY_SECRET, Emulator
    except ModuleNotFoundError as missing:
        sys.stderr.write(f"{missing}: install airflow-provider-agentruns[emulator]\n")
        return 1
    if options.list_faults:
        sys.stdout.write(f"{describe()}\n")
        return 0
    try:
        emulator = Emulator(
            seed=options.seed,
            speed=options.speed,
            token=options.token,
            rate_limit=options.rate_limit or None,
            host=options.host,
            port=options.port,
            extra={},
            faults=_plan(options.faults, options.fault),
            webhook=options.webhook,
            webhook_secret=options.webhook_secret or ANY_SECRET,
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
        if options.webhook:
            secret = "YOUR_SECRET" if options.webhook_secret else emulator.extra["webhook_secret"]
            connection += f"?webhook_secret={secret}"
        sys.stdout.write(
            f"Agent runs are served at {emulator.url}; for Airflow: "
            f"export AIRFLOW_CONN_AGENTRUNS_DEFAULT={shlex.quote(connection)}\n"
        )
        sys.stdout.flush()
        told_to_end.wait()
    return 0


def _plan(file: Path | None, short_forms: Sequence[str]) -> list[Rule]:
    """Read the faults that the command line asks for: those of the file come first."""
    from airflow_provider_agentruns.emulator.faults import FaultError
    from airflow_provider_agentruns.emulator.faults.plan import read_plan, rule_of

    plan: list[Rule] = []
    try:
        where = f"--faults {file}"
        if file:
            plan += read_plan(file.read_text(encoding="utf-8"))
        for short_form in short_forms:
            where = f"--fault {short_form!r}"
            plan.append(rule_of(short_form))
    except FaultError as error:
        raise ValueError(f"{where}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{where}: cannot be read: {error}") from None
    return plan


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
    parser.add_argument("--faults", type=Path, metavar="PLAN.JSON", help="what goes wrong, as a plan in JSON")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="FAULT",
        help="one more thing that goes wrong, e.g. '503 GET /v1/runs/.* times=2'; may be given several times",
    )
    parser.add_argument(
        "--webhook",
        metavar="URL",
        help="where to send webhooks, e.g. http://127.0.0.1:8080/agent-runs/webhooks/agentruns_default",
    )
    parser.add_argument("--webhook-secret", metavar="SECRET", help="what they are signed with; without it a known one")
    parser.add_argument("--list-faults", action="store_true", help="show all that can go wrong, and end")
    return parser


if __name__ == "__main__":
    sys.exit(main())
