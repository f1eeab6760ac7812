# SPDX-License-Identifier: Apache-2.0
"""A digest of JSON values, which compares questions and answers without storing them."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest(value: Any) -> str:
    """Return the SHA-256 digest of a JSON value. The order of keys does not matter."""
    # Converted to JSON and back first: in Python, keys of mixed types cannot be sorted.
    as_json = json.loads(json.dumps(value))
    return hashlib.sha256(json.dumps(as_json, sort_keys=True).encode()).hexdigest()
