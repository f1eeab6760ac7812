# SPDX-License-Identifier: Apache-2.0
"""Creates and verifies the signature of a webhook."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

_FORM = re.compile(r"\s*(?:sha256=)?([0-9a-f]{64})\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class WebhookSignature:
    """The HMAC-SHA256 of a webhook's body under a secret of the connection. ``str()`` returns the header's value."""

    digest: bytes

    HEADER: ClassVar[str] = "X-Middesk-Signature-256"

    @classmethod
    def sign(cls, body: bytes, secret: str) -> Self:
        """Return the signature of a body."""
        return cls(hmac.digest(secret.encode(), body, hashlib.sha256))

    @classmethod
    def parse(cls, header: str | None) -> Self | None:
        """Read the header's value: hexadecimal, with or without ``sha256=``. None if it is no signature."""
        match = _FORM.fullmatch(header or "")
        return cls(bytes.fromhex(match[1])) if match else None

    def matches(self, body: bytes, secrets: Iterable[str]) -> bool:
        """Return whether one of the secrets signed the body. The time that this takes reveals nothing of a secret."""
        signatures = [self.sign(body, secret) for secret in secrets]
        return any([hmac.compare_digest(self.digest, signature.digest) for signature in signatures])  # noqa: C419

    def __str__(self) -> str:
        return f"sha256={self.digest.hex()}"
