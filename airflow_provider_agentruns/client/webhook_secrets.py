# SPDX-License-Identifier: Apache-2.0
"""Reads the secrets of webhooks from a connection's extra. Independent of Airflow."""

from __future__ import annotations

import json
from typing import Any

from pydantic import SecretStr

#: The name of the field in the extra.
FIELD = "webhook_secret"

#: The shortest secret, in characters. A shorter one could be guessed.
SHORTEST = 8

_RIGHT = f"should be a secret of at least {SHORTEST} characters, or a list of such secrets"


def webhook_secrets(value: Any) -> tuple[str, ...]:
    """
    Return the secrets in the field, which are all valid.

    :param value: A list, a text with spaces between secrets, or None.
    :raises ValueError: If it is something else, or a secret is too short. The message contains no secret.
    """
    if value is None:
        return ()
    if isinstance(value, str) and value.lstrip().startswith("["):
        # A list from a URI is JSON text.
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError(_RIGHT) from None
    parts = value.split() if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        raise ValueError(_RIGHT)
    secrets = [part.get_secret_value() if isinstance(part, SecretStr) else part for part in parts]
    if not all(isinstance(secret, str) and len(secret.strip()) >= SHORTEST for secret in secrets):
        raise ValueError(_RIGHT)
    return tuple(secret.strip() for secret in secrets)
