# SPDX-License-Identifier: Apache-2.0
"""
Pages inside Airflow, and the endpoint for webhooks: everything that the API server serves, and nothing else.

Every Airflow process imports ``agent_runs``, the plugin. Only the API server imports the rest. ``app`` assembles the
web application from ``routes`` and ``webhooks``. ``ui`` is the source of the pages, and ``static`` is built from it.
"""
