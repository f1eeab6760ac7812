# SPDX-License-Identifier: Apache-2.0
"""
Tests that need a complete Airflow, which all of them share.

Each test starts its own agent runs and DAG runs, and inspects only those.
"""
