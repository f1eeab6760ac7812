# SPDX-License-Identifier: Apache-2.0
"""
A person's review of what an agent asks: what they are shown, the form, the answer, and the trail.

All of it is free of Airflow and of I/O. What an agent says is never trusted here: it may have read it on a
page that wants to be approved.
"""
