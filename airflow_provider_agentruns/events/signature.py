# SPDX-License-Identifier: Apache-2.0
"""Whether a webhook comes from the service: the signature over its body, to the byte."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

#: The header with the signature.
HEADER = "X-Middesk-Signature-256"

_PREFIX = "sha256="


def sign(body: bytes, secret: str) -> str:
    """Return what the header of a body holds."""
    return _PREFIX + _digest(body, secret).hex()


def read_signature(header: str | None) -> bytes | None:
    """Return the signature that a header holds: hex, with or without ``sha256=``; None where it holds none."""
    text = (header or "").strip()
    if text[: len(_PREFIX)].lower() == _PREFIX:
        text = text[len(_PREFIX) :]
    try:
        signature = bytes.fromhex(text)
    except ValueError:
        return None
    return signature if len(signature) == hashlib.sha256().digest_size else None


def is_signed(body: bytes, signature: bytes, secrets: Iterable[str]) -> bool:
    """Say whether a body was signed with one of some secrets, in a time that does not tell how near it came."""
    signed = False
    for secret in secrets:
        # None is left out, whichever it is.
        signed |= hmac.compare_digest(signature, _digest(body, secret))
    return signed


def _digest(body: bytes, secret: str) -> bytes:
    return hmac.new(secret.encode(), body, hashlib.sha256).digest()
