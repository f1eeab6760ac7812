# SPDX-License-Identifier: Apache-2.0
"""
Pages inside Airflow: a task's agent run, and all runs that this Airflow waits for.

``agent_runs`` is the plugin, which is all that Airflow imports in each of its processes. Everything else is
imported by the API server alone. ``app`` puts it together, ``routes`` has what a browser asks for, ``ui`` is the
source of the pages and ``static`` is what is built of it.
"""
