# SPDX-License-Identifier: Apache-2.0
"""The host name of a component, as Airflow's ``[core] hostname_callable``."""

from __future__ import annotations

import os

VARIABLE = "AGENTRUNS_FLEET_HOST"


def host_name() -> str:
    """Return the host name in the environment, or that of this machine for other components."""
    return os.environ.get(VARIABLE) or os.uname().nodename
