# SPDX-License-Identifier: Apache-2.0
"""Makes text from the service, such as a question or an ID, safe for messages, logs, and file names. Digests."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

#: Enough for any ID and for most questions, in characters.
MAX_LENGTH = 200


def single_line(value: object, limit: int = MAX_LENGTH) -> str:
    """Return a value as text on one line: cut to ``limit`` characters, with control characters escaped."""
    shown = _cut(str(value), limit)
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in shown)


def quoted(value: object, limit: int = MAX_LENGTH) -> str:
    """Return the same in quotes, for text whose beginning or end would otherwise be unclear in a message."""
    return repr(_cut(str(value), limit))


def file_name_part(text: str, limit: int = 100) -> str:
    """Return text from the service as a part of a file name, which cannot lead out of the folder."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", text)
    if safe == text and len(safe) <= limit:
        return safe
    return f"{safe[:limit]}-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:16]}"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def digest(value: Any) -> str:
    """Return the SHA-256 digest of a JSON value. The order of keys does not matter."""
    # Converted to JSON and back first: in Python, keys of mixed types cannot be sorted.
    as_json = json.loads(json.dumps(value))
    return hashlib.sha256(json.dumps(as_json, sort_keys=True).encode()).hexdigest()
