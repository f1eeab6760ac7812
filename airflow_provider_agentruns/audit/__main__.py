# SPDX-License-Identifier: Apache-2.0
"""``python -m airflow_provider_agentruns.audit``: lists the reviews whose documents are in a folder."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from datetime import UTC, datetime
from typing import Any

from airflow_provider_agentruns.audit.trail import open_folder, read_documents
from airflow_provider_agentruns.exceptions import AgentRunsError
from airflow_provider_agentruns.text import single_line

_COLUMNS = (
    *("responded_at", "by", "responded_by", "chosen_options", "params_input", "sent", "delivery", "status"),
    *("label", "agent", "run_id", "interrupt_id", "question", "rating"),
    *("dag_id", "dag_run_id", "task_id", "map_index", "recorded_at", "id"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        # Airflow writes warnings to the standard output.
        with redirect_stdout(sys.stderr):
            folder = open_folder(options.path or _path_of(options.conn_id), create=False)
            found = list(read_documents(folder, options.since))
    except AgentRunsError as e:
        sys.stderr.write(f"{e}\n")
        return 1
    documents = [document for document in found if isinstance(document, dict)]
    if options.format == "json":
        json.dump(documents, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for document in documents:
            writer.writerow([_cell(document.get(column)) for column in _COLUMNS])
    problems = [problem for problem in found if isinstance(problem, str)]
    for problem in problems:
        sys.stderr.write(f"{single_line(problem, 1000)}\n")
    return 1 if problems else 0


def _cell(value: Any) -> str:
    """Return a value as a cell that starts no formula, because agents write parts of the documents."""
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    # Spreadsheets accept about 32,000 characters in a cell.
    text = single_line(text, 32_000)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) and not isinstance(value, int) else text


def _path_of(conn_id: str) -> str:
    from airflow_provider_agentruns.airflow_adapter.connections import read_connection

    connection = read_connection(conn_id)
    if connection is None:
        raise AgentRunsError(f"Airflow has no connection {conn_id!r}. Set --conn-id or --path")
    path = connection.extra_dejson.get("audit_path")
    if not path:
        raise AgentRunsError(f"Connection {conn_id!r} has no audit_path (extra). Set it, or use --path")
    return str(path)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2026-03-01 or 2026-03-01T09:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_agentruns.audit",
        description="List the reviews whose documents are in an audit folder, oldest decision first.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--conn-id", default="agentruns_default", help="the Airflow connection that has the audit_path")
    place.add_argument("--path", help="the audit folder: an absolute path or a URL such as s3://my_conn@bucket/reviews")
    parser.add_argument(
        "--since", type=_moment, metavar="TIME", help="the earliest time of a decision, such as 2026-03-01 (UTC)"
    )
    parser.add_argument("--format", choices=("csv", "json"), default="csv", help="csv, or json with all fields")
    return parser


if __name__ == "__main__":
    sys.exit(main())
