# SPDX-License-Identifier: Apache-2.0
"""Differences between versions of Airflow, and markers for tests that depend on them."""

from __future__ import annotations

from importlib.metadata import version

import pytest

#: The installed Airflow, such as (3, 3).
AIRFLOW = tuple(int(part) for part in version("apache-airflow-core").split(".")[:2])

#: Whether a task can store state that survives its try, and waits for a person without a trigger.
HAS_STATE_STORE = AIRFLOW >= (3, 3)

#: The state of a task instance that shows a form.
FORM_STATE = "awaiting_input" if HAS_STATE_STORE else "deferred"

#: Modules that Airflow itself imports although a DAG file should not.
IMPORTED_BY_AIRFLOW = () if AIRFLOW >= (3, 2) else ("airflow.triggers",)

needs_state_store = pytest.mark.skipif(not HAS_STATE_STORE, reason="Airflow before 3.3 has no task state store")
needs_asset_state_store = pytest.mark.skipif(not HAS_STATE_STORE, reason="Airflow before 3.3 has no asset state store")
needs_declared_form = pytest.mark.skipif(
    AIRFLOW < (3, 2), reason="Airflow before 3.2 does not create a connection form from a provider's metadata"
)
