# SPDX-License-Identifier: Apache-2.0
"""Exponential backoff, as tenacity's ``wait_exponential`` computes it, for waits that are not retries of one call."""

from __future__ import annotations


def backoff(failures: int, first: float, longest: float) -> float:
    """
    Return how long to wait after failures in a row: ``first``, then twice as long each time.

    :param first: The wait after the first failure, in seconds.
    :param longest: The longest wait, in seconds, unless ``first`` is longer.
    """
    return min(first * 2.0 ** min(failures - 1, 20), max(first, longest))
