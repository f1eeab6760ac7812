# SPDX-License-Identifier: Apache-2.0
"""Creates and verifies the signature of a webhook."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

_PREFIX = "sha256="


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
        text = (header or "").strip()
        if text[: len(_PREFIX)].lower() == _PREFIX:
            text = text[len(_PREFIX) :]
        try:
            digest = bytes.fromhex(text)
        except ValueError:
            return None
        return cls(digest) if len(digest) == hashlib.sha256().digest_size else None

    def matches(self, body: bytes, secrets: Iterable[str]) -> bool:
        """Return whether one of the secrets signed the body. The time that this takes reveals nothing of a secret."""
        matched = False
        for secret in secrets:
            matched |= hmac.compare_digest(self.digest, self.sign(body, secret).digest)
        return matched

    def __str__(self) -> str:
        return _PREFIX + self.digest.hex()
