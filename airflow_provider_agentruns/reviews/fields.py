# SPDX-License-Identifier: Apache-2.0
"""
Lists the fields of any JSON value in Markdown, without knowing what they mean.

Everything is yielded line by line, and a line may be the last that is asked for: the work that is done depends
on what is shown and not on the size of the value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any

from airflow_provider_agentruns.reviews.text import broken, escape_markdown, escape_markdown_lines, left_over

#: How deep a value is shown, and how many entries at each level.
DEEPEST = 4
MOST_ENTRIES = 50
#: Longest name and longest text of a field, in characters.
NAME_LENGTH = 100
TEXT_LENGTH = 1_000

_ROW_FIELDS = 6
_ROW_TEXT = 60

_COUNTED = 100_000
_BITS_PER_DIGIT = 3.32


class Excerpt:
    """What an agent sent, as far as it is shown: text is taken through it, and it knows whether some was left out."""

    def __init__(self) -> None:
        self.shown = 0
        self.cut = False

    def inline(self, value: Any, limit: int) -> str:
        """
        Return a text or other single value as one inert line; an empty string where nothing is to be seen.

        :param value: The value.
        :param limit: How much of it is shown, in characters.
        """
        return escape_markdown(self._take(value, limit), limit)

    def lines(self, value: Any, limit: int) -> list[str]:
        """
        Return a text or other single value as inert lines that keep its line breaks.

        :param value: The value.
        :param limit: How much of it is shown, in characters.
        """
        return escape_markdown_lines(self._take(value, limit), limit)

    def name(self, key: Any) -> str:
        """
        Return the name of a field, made readable.

        :param key: The name as the agent gave it.
        """
        return self.inline(str(key).replace("_", " "), NAME_LENGTH) or "(no name)"

    def _take(self, value: Any, limit: int) -> str:
        text = as_text(value)
        self.shown += min(len(text), limit)
        self.cut = self.cut or left_over(text, limit) > 0
        return text


def as_text(value: Any) -> str:
    """
    Return a value that holds no others as people write it.

    :param value: The value.
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    try:
        return str(value)
    except ValueError:  # Python writes no integer of more than some thousand digits.
        return f"a number of about {int(value.bit_length() / _BITS_PER_DIGIT):,} digits"


def is_text(value: Any) -> bool:
    """
    Say whether a value can stand where a text is expected, and says something.

    :param value: The value.
    """
    return isinstance(value, str | int | float) and value != ""


def size(value: Any) -> tuple[int, bool]:
    """
    Return how many characters of names and texts a value has, and whether all of them were counted.

    :param value: Any JSON value, however large or deep.
    """
    characters, pending = 0, [value]
    for _ in range(_COUNTED):
        if not pending:
            return characters, True
        item = pending.pop()
        if isinstance(item, dict):
            characters += sum(len(str(key)) for key in islice(item, _COUNTED))
            pending.extend(islice(item.values(), _COUNTED))
        elif isinstance(item, list):
            pending.extend(islice(item, _COUNTED))
        else:
            characters += len(as_text(item))
    return characters, False


def fields(
    value: dict[Any, Any], excerpt: Excerpt, *, leave_out: Collection[str] = (), indent: str = "", depth: int = 1
) -> Iterator[str]:
    """
    List the fields of an object, those that are objects and lists themselves as lists inside it.

    :param value: The object.
    :param excerpt: What the object is part of.
    :param leave_out: Names of fields that are shown elsewhere.
    :param indent: What each line begins with.
    :param depth: How deep this list is, counted from 1.
    """
    names = (name for name in value if name not in leave_out)
    for name in islice(names, MOST_ENTRIES):
        yield from _field(f"{indent}- **{excerpt.name(name)}:** ", value[name], excerpt, f"{indent}  ", depth)
    yield from _more(sum(1 for _ in names), excerpt, indent)


def items(value: list[Any], excerpt: Excerpt, *, indent: str = "", depth: int = 1) -> Iterator[str]:
    """
    List the items of a list, numbered where there are objects or lists among them.

    :param value: The list.
    :param excerpt: What the list is part of.
    :param indent: What each line begins with.
    :param depth: How deep this list is, counted from 1.
    """
    shown = value[:MOST_ENTRIES]
    numbered = any(isinstance(item, dict | list) for item in shown)
    for number, item in enumerate(shown, 1):
        marker = f"{number}. " if numbered else "- "
        inside = indent + " " * len(marker)
        if _is_row(item):
            row = (f"**{excerpt.name(name)}:** {excerpt.inline(part, TEXT_LENGTH)}" for name, part in item.items())
            yield indent + marker + " · ".join(row)
        elif isinstance(item, dict | list) and item and depth < DEEPEST:
            # The marker stands before the first line inside: alone on its line it would not begin a list.
            lines = contents(item, excerpt, indent=inside, depth=depth + 1)
            yield indent + marker + next(lines).removeprefix(inside)
            yield from lines
        else:
            yield from _field(indent + marker, item, excerpt, inside, depth)
    yield from _more(len(value) - len(shown), excerpt, indent)


def contents(value: dict[Any, Any] | list[Any], excerpt: Excerpt, *, indent: str = "", depth: int = 1) -> Iterator[str]:
    """
    List what an object or a list holds.

    :param value: The object or list.
    :param excerpt: What it is part of.
    :param indent: What each line begins with.
    :param depth: How deep this list is, counted from 1.
    """
    if isinstance(value, dict):
        return fields(value, excerpt, indent=indent, depth=depth)
    return items(value, excerpt, indent=indent, depth=depth)


def _field(lead: str, value: Any, excerpt: Excerpt, inside: str, depth: int) -> Iterator[str]:
    if isinstance(value, dict | list) and value:
        if depth >= DEEPEST:
            excerpt.cut = True
            yield f"{lead}… ({_entries(len(value))}, too deep to be shown here)"
        else:
            yield lead.rstrip()
            yield from contents(value, excerpt, indent=inside, depth=depth + 1)
    elif isinstance(value, dict | list) or value == "":
        yield f"{lead}(empty)"
    else:
        lines = [line for line in excerpt.lines(value, TEXT_LENGTH) if line]
        first, *rest = broken(lines or ["(empty)"])
        yield lead + first
        yield from (inside + line for line in rest)


def _is_row(item: Any) -> bool:
    """Whether an object is short enough to be read as one line of a table."""
    return (
        isinstance(item, dict)
        and 0 < len(item) <= _ROW_FIELDS
        and all(not isinstance(part, dict | list) and len(as_text(part)) <= _ROW_TEXT for part in item.values())
    )


def _more(count: int, excerpt: Excerpt, indent: str) -> Iterator[str]:
    if count:
        excerpt.cut = True
        yield f"{indent}- … and {count:,} more"


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"
