# SPDX-License-Identifier: Apache-2.0
"""What several tests lean on: servers, Airflow homes, and the like."""
