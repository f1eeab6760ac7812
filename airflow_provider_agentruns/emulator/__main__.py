# SPDX-License-Identifier: Apache-2.0
"""``python -m airflow_provider_agentruns.emulator``: serves until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import logging
import shlex
import signal
import sys
import threading
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        from airflow_provider_agentruns.emulator.fault_table import FAULTS
        from airflow_provider_agentruns.emulator.server import Emulator
    except ModuleNotFoundError as missing:
        sys.stderr.write(f"{missing}: install airflow-provider-agentruns[emulator]\n")
        return 1
    if options.pop("list_faults"):
        sys.stdout.writelines(f"{fault.usage}\n    {fault.description}\n" for fault in FAULTS.values())
        return 0
    try:
        emulator = Emulator(**options, extra={})
    except ValueError as error:
        parser.error(str(error))
    except (OSError, OverflowError) as error:
        sys.stderr.write(f"Cannot serve on port {options['port']}: {error}\n")
        return 1
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with emulator:
        token = "YOUR_TOKEN" if options["token"] else emulator.token
        connection = f"agentruns://:{token}@127.0.0.1:{emulator.port}/http"
        if options["webhook"]:
            secret = "YOUR_SECRET" if options["webhook_secret"] else emulator.extra["webhook_secret"]
            connection += f"?webhook_secret={secret}"
        sys.stdout.write(
            f"Agent runs are served at {emulator.url}; for Airflow: "
            f"export AIRFLOW_CONN_AGENTRUNS_DEFAULT={shlex.quote(connection)}\n"
        )
        sys.stdout.flush()
        stopped.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_agentruns.emulator",
        description="Serve the whole contract of agent runs on this machine, with scripted agents.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=8400, help="0 selects a free port")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other IDs and other content")
    parser.add_argument("--speed", type=float, default=1.0, help="speed of the agents; 20 means 20 times as fast")
    parser.add_argument("--token", help="the only valid token; without it, any token is valid")
    parser.add_argument("--rate-limit", type=int, default=20, help="requests per second; 0 means no limit")
    rule = "a rule for a fault, such as '503 GET /v1/runs/.* times=2'; repeatable"
    parser.add_argument("--fault", action="append", default=[], dest="faults", metavar="RULE", help=rule)
    receiver = "the receiver of webhooks, such as http://127.0.0.1:8080/agent-runs/webhooks/agentruns_default"
    parser.add_argument("--webhook", metavar="URL", help=receiver)
    parser.add_argument("--webhook-secret", metavar="SECRET", help="signs webhooks; without it, a public one does")
    parser.add_argument("--list-faults", action="store_true", help="list all faults with their parameters, and exit")
    return parser


if __name__ == "__main__":
    sys.exit(main())
