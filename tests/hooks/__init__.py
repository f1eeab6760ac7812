# SPDX-License-Identifier: Apache-2.0
"""Tests of the hook, over real HTTP and real Airflow connections."""
