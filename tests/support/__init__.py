# SPDX-License-Identifier: Apache-2.0
"""Helpers for several tests: servers, Airflow homes, and a task runner."""

#: The ID of a business. The service accepts only UUIDs.
BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"
