# SPDX-License-Identifier: Apache-2.0
"""
What an older Airflow lacks.

A test of it carries a mark that names what is missing; what happens there instead has a test of its own, which carries
``without_memory``.
"""

from __future__ import annotations

from importlib.metadata import version

import pytest

#: The installed Airflow, such as (3, 3).
AIRFLOW = tuple(int(part) for part in version("apache-airflow-core").split(".")[:2])

#: Whether what a task notes outlives its try, and whether one that waits for a person takes no trigger.
HAS_MEMORY = AIRFLOW >= (3, 3)

#: The state of a task instance that shows a form.
WAITING_FOR_A_PERSON = "awaiting_input" if HAS_MEMORY else "deferred"

#: What Airflow imports by itself of that which is to stay out of a DAG file.
BROUGHT_BY_AIRFLOW = () if AIRFLOW >= (3, 2) else ("airflow.triggers",)

needs_memory = pytest.mark.skipif(not HAS_MEMORY, reason="Airflow before 3.3 has no task state store")
needs_asset_memory = pytest.mark.skipif(not HAS_MEMORY, reason="Airflow before 3.3 has no asset state store")
needs_declared_form = pytest.mark.skipif(
    AIRFLOW < (3, 2), reason="Airflow before 3.2 makes no connection form out of a provider's metadata"
)
without_memory = pytest.mark.skipif(HAS_MEMORY, reason="what happens without the task state store of Airflow 3.3")
