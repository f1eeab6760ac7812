# SPDX-License-Identifier: Apache-2.0
"""Metrics and log lines; what a whole Airflow shows of them is in ``tests/standalone/test_observability.py``."""
