# SPDX-License-Identifier: Apache-2.0
"""
Asset events for agent runs, from polling the listing and from webhooks.

Waiting for known runs belongs in ``polling``, the HTTP endpoint in ``plugins``, database writes in ``airflow_adapter``.
"""
