# SPDX-License-Identifier: Apache-2.0
"""Logs arguments of a trigger that this version does not know: another version may have stored the trigger."""

from __future__ import annotations

import logging
from typing import Any

log = logging.getLogger(__name__)


def log_unknown(arguments: dict[str, Any]) -> None:
    """Log the names of unknown arguments, if there are any."""
    if arguments:
        log.warning("Ignoring unknown arguments of a trigger: %s", sorted(arguments))
