# SPDX-License-Identifier: Apache-2.0
"""A store for the state of one task instance, like Airflow's task state store."""

from __future__ import annotations

import json
from typing import Any


class StateStore:
    """
    Stores JSON values.

    :ivar values: The stored values as JSON text.
    """

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get(self, key: str) -> Any:
        return json.loads(self.values.get(key, "null"))

    def set(self, key: str, value: Any, retention: object = None) -> None:
        self.values[key] = json.dumps(value)
