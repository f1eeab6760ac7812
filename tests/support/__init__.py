# SPDX-License-Identifier: Apache-2.0
"""Helpers for several tests: servers, Airflow homes, and a task runner."""
