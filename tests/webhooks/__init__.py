# SPDX-License-Identifier: Apache-2.0
"""The service's webhooks, over HTTP into Airflow's own API server and a real database."""
