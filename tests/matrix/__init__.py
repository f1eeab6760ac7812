# SPDX-License-Identifier: Apache-2.0
"""``make test-matrix``: runs the tests on several versions of Airflow and Python, each in its own environment."""
