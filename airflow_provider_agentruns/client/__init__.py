# SPDX-License-Identifier: Apache-2.0
"""The REST client: requests, responses, transports, settings, rate limit. Nothing here imports Airflow."""
