# SPDX-License-Identifier: Apache-2.0
"""The Apache Airflow provider for agent runs. Imports nothing, so that it costs nothing to import."""

__version__ = "0.1.0"
