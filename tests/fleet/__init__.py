# SPDX-License-Identifier: Apache-2.0
"""Many machines on one account: a simulation of the shared rate limit, and an Airflow with CeleryExecutor."""
