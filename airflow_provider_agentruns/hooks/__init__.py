# SPDX-License-Identifier: Apache-2.0
"""The hook, and the mapping of this package's errors to Airflow's. Requests and settings belong to ``client``."""
