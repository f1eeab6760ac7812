# SPDX-License-Identifier: Apache-2.0
"""The signature of a webhook: the HMAC-SHA256 of its body under a secret of the connection."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable

#: The header that contains the signature.
HEADER = "X-Middesk-Signature-256"

_FORM = re.compile(r"\s*(?:sha256=)?([0-9a-f]{64})\s*", re.ASCII | re.IGNORECASE)


def sign(body: bytes, secret: str) -> str:
    """Return the value of the header for a body."""
    return f"sha256={hmac.digest(secret.encode(), body, hashlib.sha256).hex()}"


def parse_signature(header: str | None) -> str | None:
    """Return the signature in a header, with or without ``sha256=``, as :func:`sign` does; None if there is none."""
    match = _FORM.fullmatch(header or "")
    return f"sha256={match[1].lower()}" if match else None


def is_signed(body: bytes, signature: str, secrets: Iterable[str]) -> bool:
    """Return, in constant time, whether one of the secrets signed the body."""
    return any([hmac.compare_digest(signature, sign(body, secret)) for secret in secrets])  # noqa: C419
