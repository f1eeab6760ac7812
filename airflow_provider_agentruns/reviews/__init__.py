# SPDX-License-Identifier: Apache-2.0
"""The text, form, answer, and state of a review: no Airflow, no I/O, and no trust in an agent's text."""
