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

    :param has_more: Whether another page follows.
    :param total_count: The number of items on all pages.
    """

    items: list[T]
    has_more: bool
    total_count: int


def page_of(oldest_first: Sequence[T], page: int, per_page: int) -> Page[T]:
    """
    Return one page. The cost depends on the size of the page only.

    :param page: The number of the page, from 1.
    """
    end = max(len(oldest_first) - (page - 1) * per_page, 0)
    start = max(end - per_page, 0)
    return Page(list(reversed(oldest_first[start:end])), start > 0, len(oldest_first))
