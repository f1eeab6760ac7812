# SPDX-License-Identifier: Apache-2.0
"""``make test-matrix``: the tests on several versions of Airflow and Python, each in an environment of its own."""
