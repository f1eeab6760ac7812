# SPDX-License-Identifier: Apache-2.0
"""
All code that uses Airflow outside its public API; each module states why. Tested with Airflow 3.1.8, 3.2.2, and 3.3.2.
"""
