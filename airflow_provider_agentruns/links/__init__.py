# SPDX-License-Identifier: Apache-2.0
"""Extra links of the operators and the sensor. Pages inside Airflow belong in ``plugins``."""
