# SPDX-License-Identifier: Apache-2.0
"""
Runs the tests on the combinations that are named, and prints one table.

``python -m tests.matrix``, ``... all``, or ``... 3.1:3.11 3.3:3.13``; arguments for pytest behind ``--``.
"""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from tests.matrix.environments import Combination, Result

#: Each Airflow and each Python once; and all that are said to work.
FEW = ("3.1:3.11", "3.2:3.12", "3.3:3.13")
ALL = ("3.1:3.11", "3.1:3.13", "3.2:3.12", "3.3:3.11", "3.3:3.12", "3.3:3.13")


def main(arguments: list[str]) -> int:
    """Return the exit code: 1 where something failed, or a Python that was asked for by name is not there."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    named, for_pytest = arguments[:split], arguments[split + 1 :]
    by_name = bool(named) and named != ["all"]
    try:
        combinations = [Combination.of(text) for text in (named if by_name else ALL if named else FEW)]
    except ValueError as e:
        print(e, file=sys.stderr)
        return 2
    console = Console()
    results: list[Result] = []
    for combination in combinations:
        console.rule(f"Airflow {combination.airflow}, Python {combination.python}")
        results.append(combination.run(for_pytest))
    console.print(table(results))
    missing = [result.python for result in results if result.python_is_missing]
    if missing:
        console.print(f"[bold red]NOT TRIED: there is no Python {', '.join(missing)} on this machine.[/]")
    failed = any(not result.passed and (by_name or not result.python_is_missing) for result in results)
    return int(failed or not any(result.passed for result in results))


def table(results: list[Result]) -> Table:
    """Return a row for each combination."""
    made = Table("Airflow", "Python")
    for name in ("passed", "failed", "skipped", "minutes"):
        made.add_column(name, justify="right")
    made.add_column("")
    for result in results:
        failed = result.counts.get("failed", 0) + result.counts.get("error", 0)
        numbers = (result.counts.get("passed", 0), failed, result.counts.get("skipped", 0), f"{result.minutes:.1f}")
        verdict = "SKIPPED" if result.python_is_missing else "FAILED" if result.trouble else "passed"
        what = f"{verdict}: {result.trouble}" if result.trouble else verdict
        made.add_row(result.airflow, result.python, *(map(str, numbers) if result.counts else "----"), what)
    return made


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
