# SPDX-License-Identifier: Apache-2.0
"""
A pytest plugin that fails a parallel session in which the tests of one ``xdist_group`` ran on two workers.

Such tests share something expensive, such as a complete Airflow. pytest 9.2.0 with pytest-xdist 3.8.0 ignores
``--dist loadgroup`` without a warning.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

_PROPERTY = "xdist_group"
_workers: dict[str, set[str]] = defaultdict(set)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Record each test's group in its report."""
    for item in items:
        if marker := item.get_closest_marker("xdist_group"):
            item.user_properties.append((_PROPERTY, marker.kwargs.get("name") or marker.args[0]))


def pytest_runtest_logreport(report: Any) -> None:
    """Record which worker ran a test of a group. Only the controller's reports name their worker."""
    if node := getattr(report, "node", None):
        for name, group in report.user_properties:
            if name == _PROPERTY:
                _workers[group].add(node.gateway.id)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the session if a group was split."""
    if _split() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the groups that were split."""
    for group in _split():
        workers = ", ".join(sorted(_workers[group]))
        terminalreporter.write_line(
            f"ERROR: the tests of xdist_group {group!r} ran on several workers ({workers}). "
            "Use --dist loadgroup, and versions of pytest and pytest-xdist that support it (see pyproject.toml).",
            red=True,
        )


def _split() -> list[str]:
    return sorted(group for group, workers in _workers.items() if len(workers) > 1)
