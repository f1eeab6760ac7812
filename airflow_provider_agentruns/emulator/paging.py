# SPDX-License-Identifier: Apache-2.0
"""Pages of a listing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T", covariant=True)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """
    One page of a listing, newest first.

    :param has_more: Whether a further page has something.
    :param total_count: How many there are on all pages.
    """

    items: list[T]
    has_more: bool
    total_count: int


def page_of(oldest_first: Sequence[T], page: int, per_page: int) -> Page[T]:
    """
    Cut a page from the end, at the cost of that page alone.

    :param page: From 1.
    """
    end = max(len(oldest_first) - (page - 1) * per_page, 0)
    start = max(end - per_page, 0)
    return Page(list(reversed(oldest_first[start:end])), start > 0, len(oldest_first))
