# SPDX-License-Identifier: Apache-2.0
"""Reproducible IDs and random numbers, and the format of timestamps."""

from __future__ import annotations

import hashlib
from datetime import datetime
from random import Random
from uuid import UUID


class Ids:
    """
    Derives IDs from a seed and from what each ID is for. They do not depend on the order of calls.

    :param seed: Another seed gives other IDs.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def uuid(self, *what: object) -> str:
        """Return the UUID of something, such as ``"run", 3``."""
        return str(UUID(bytes=self._digest(what)[:16], version=4))

    def interrupt(self, *what: object) -> str:
        """Return the ID of an interrupt, which is not a UUID."""
        return f"int_{self._digest(what).hex()[:20]}"

    def rng(self, *what: object) -> Random:
        """Return a random number generator for something."""
        return Random(self._digest(what))  # noqa: S311 -- nothing here is secret

    def _digest(self, what: tuple[object, ...]) -> bytes:
        return hashlib.sha256("/".join(map(str, (self._seed, *what))).encode()).digest()


def timestamp(moment: datetime) -> str:
    """Format a moment in UTC as the service does."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
