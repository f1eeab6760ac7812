# SPDX-License-Identifier: Apache-2.0
"""Ids, random numbers and times that are the same in each repetition."""

from __future__ import annotations

import hashlib
from datetime import datetime
from random import Random
from uuid import UUID


class Ids:
    """
    Makes ids out of a seed and of what each is for, so that they do not depend on who asks first.

    :param seed: Another seed gives other ids.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def uuid(self, *what: object) -> str:
        """Make the UUID of something, e.g. of ``"run", 3``."""
        return str(UUID(bytes=self._digest(what)[:16], version=4))

    def interrupt(self, *what: object) -> str:
        """Make the id of an interrupt, which is no UUID."""
        return f"int_{self._digest(what).hex()[:20]}"

    def rng(self, *what: object) -> Random:
        """Make a source of random numbers for something."""
        return Random(self._digest(what))  # noqa: S311 -- nothing here is secret

    def _digest(self, what: tuple[object, ...]) -> bytes:
        return hashlib.sha256("/".join(map(str, (self._seed, *what))).encode()).digest()


def timestamp(moment: datetime) -> str:
    """Write a moment in UTC as the service writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
