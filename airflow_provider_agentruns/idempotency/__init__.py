# SPDX-License-Identifier: Apache-2.0
"""Create a run once and answer an interrupt once, under every fault. Free of Airflow. Waits belong in ``polling``."""
