# SPDX-License-Identifier: Apache-2.0
"""The classes that Airflow's triggerer loads. How they poll belongs in ``polling`` and ``events``."""
