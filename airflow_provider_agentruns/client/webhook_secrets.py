# SPDX-License-Identifier: Apache-2.0
"""What the service signs webhooks with, as a connection's extra has it. Free of Airflow."""

from __future__ import annotations

import json
from typing import Any

from pydantic import SecretStr

#: The extra's field.
FIELD = "webhook_secret"

#: So long a secret has to be, in characters: what can be guessed keeps nobody out.
SHORTEST = 8

_RIGHT = f"should be a secret of at least {SHORTEST} characters, or a list of such"


def webhook_secrets(value: Any) -> tuple[str, ...]:
    """
    Return the secrets that the field holds, each as good as the other.

    :param value: A list, a text with blanks between several, or nothing.
    :raises ValueError: If it is something else, or one is too short. The message shows none.
    """
    if value is None:
        return ()
    if isinstance(value, str) and value.lstrip().startswith("["):
        # As a URI has a list.
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
