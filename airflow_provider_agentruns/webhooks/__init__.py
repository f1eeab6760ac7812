# SPDX-License-Identifier: Apache-2.0
"""
What the service sends by itself: webhooks, verified and turned into asset events, each run state exactly once.

The route is :mod:`airflow_provider_agentruns.plugins.webhooks.endpoint`. ``bodies`` reads a request within bounds,
``accounts`` knows what webhooks are signed with, ``signing`` and ``events`` say what may be believed. ``intake``,
``taking`` and ``queueing`` put it into Airflow's database, and ``ring`` tells the triggerer which runs to look at now.
``receiving`` is what one process of the API server holds of all this.
"""
