# SPDX-License-Identifier: Apache-2.0
"""
Tests with a complete Airflow, which all of them share. What can be tested without one belongs elsewhere.

Each test starts its own agent runs and DAG runs, and inspects only those.
"""
