# SPDX-License-Identifier: Apache-2.0
"""
The pages inside Airflow, the endpoint for webhooks, and the scheduler's listener.

Every Airflow process imports ``agent_runs`` and ``listener``; only the API server imports the rest.
"""
