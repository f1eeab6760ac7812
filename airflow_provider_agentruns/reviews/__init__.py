# SPDX-License-Identifier: Apache-2.0
"""
Reviews of what an agent asks: the text that people see, the form, the answer, and the audit trail.

Pure: no Airflow, no I/O. Nothing here trusts an agent's text, which can come from a page that wants an approval.
"""
