# SPDX-License-Identifier: Apache-2.0
"""
The text, form, answer, and state of a review. Pure: no Airflow, no I/O.

Nothing here trusts an agent's text, which can come from a web page that wants an approval.
"""
