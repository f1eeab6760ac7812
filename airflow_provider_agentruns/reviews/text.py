# SPDX-License-Identifier: Apache-2.0
"""
Makes an agent's text inert in Markdown (CommonMark and GFM), which is how Airflow shows what a person reviews.

The text reads as the agent wrote it, and does nothing: it makes no heading, link or image, and hides nothing.
Three steps, of which no later one undoes an earlier: ``clean``, cut to length, escape.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address
from unicodedata import bidirectional, category
from urllib.parse import quote, urlsplit

#: Longest link label, host or address that is not linked, in characters.
LABEL_LENGTH = 200

_LONGEST_URL = 2_000
_LONGEST_HOST = 253
_MOST_MARKS = 8

_WORD_JOINER = "\u2060"
_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"
_JOINERS = "\u200c\u200d"

_LINE_ENDS = re.compile(r"\r\n|[\n\r\v\f\x85\u2028\u2029]")

# Format characters (category Cf) are not seen, and are dropped. These are, or shape what is seen.
_SEEN_FORMATS = frozenset(
    f"{_JOINERS}\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)
# Unseen too, though of other categories: fillers of Hangul, and what Unicode says to ignore when displayed.
_UNSEEN = re.compile(
    "[\u115f\u1160\u17b4\u17b5\u2065\u3164\uffa0\ufff0-\ufff8\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)
_BRAILLE_BLANK = "\u2800"

# Every construct inside a line begins or ends with one of these; "!", "(" and "^" mean something only beside them.
_MARKUP = re.compile(r"[\\`*_\[\]<>&~|#]")
# And these begin a list, an underlined heading, a break, or a table's second line, at the start of a line only.
_LINE_START = re.compile(r"^(\d{1,9}(?=[.)](?: |$))|(?=[-+=:]))")
# GFM makes links of addresses in the finished text, where escapes are gone: something unseen has to come between.
_ADDRESS = re.compile(r"(?<=:)(?=/)|(?=@)|(?<=www)(?=\.)", re.IGNORECASE)

_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_LONE_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")

# A word that is wider than a phone's column, and the pieces that it may break into; an escaped character is one.
_LONG_WORD = re.compile(r"(?:\\.|[^\s\\]){31,}")
_PIECE = re.compile(r"(?:\\.|[^\s\\]){16}(?=\S)")


def clean(text: str) -> str:
    """
    Return the text without what a reader cannot see, or that changes how other text is seen.

    Lines are kept, and runs of blanks and of blank lines are folded.

    :param text: Any text; lone surrogates become U+FFFD.
    """
    lines = (" ".join(line.split()) for line in _visible(_LINE_ENDS.sub("\n", text)).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def plain(text: str, limit: int) -> str:
    """
    Return the text as one line for a place that knows no markup.

    :param text: Any text.
    :param limit: The longest result, in characters; what is cut ends with an ellipsis.
    """
    start = text[: 4 * limit]
    cleaned = _one_line(start)
    whole = len(cleaned) <= limit and len(start) == len(text)
    return cleaned if whole or not cleaned else f"{cleaned[: limit - 1].rstrip()}…"


def escape_markdown(text: str, limit: int) -> str:
    """
    Return the text as one line of Markdown that shows the text and does nothing.

    :param text: Any text.
    :param limit: How much of it is shown, in characters; what is cut ends with a count of the rest.
    """
    shown, rest = _cut(text, limit)
    return _escaped(_one_line(shown)) + _more(rest)


def escape_markdown_lines(text: str, limit: int) -> list[str]:
    """
    Return the text as lines of inert Markdown; an empty one stands between paragraphs.

    :param text: Any text.
    :param limit: How much of it is shown, in characters; what is cut ends with a count of the rest.
    """
    shown, rest = _cut(text, limit)
    *lines, last = map(_escaped, shown.split("\n"))
    return [*lines, last + _more(rest)]


def left_over(text: str, limit: int) -> int:
    """
    Return how many characters of a text are not shown.

    :param text: Any text.
    :param limit: How much of it is shown, in characters.
    """
    return _cut(text, limit)[1] if len(text) > limit else 0


def block(text: str, limit: int) -> str:
    """
    Return the text as paragraphs of inert Markdown, in which its line breaks stay.

    :param text: Any text.
    :param limit: How much of it is shown, in characters; what is cut ends with a count of the rest.
    """
    return "\n".join(broken(escape_markdown_lines(text, limit)))


def broken(lines: list[str]) -> list[str]:
    """
    Return lines of Markdown that stay lines when they are rendered.

    :param lines: The lines; an empty one stands between paragraphs.
    """
    # Two spaces rather than a backslash: they leave nothing behind should the next line be cut off.
    return [f"{line}  " if line and after else line for line, after in zip(lines, [*lines[1:], ""], strict=True)]


def link(label: str, url: str) -> str:
    """
    Return a Markdown link, or inert text where the address is none that is safe to follow.

    A label may lie: the host stands beside it, unless the label is that host or an address of it.

    :param label: What to click on; the host, where it is empty.
    :param url: Where it leads.
    """
    address = linkable(url)
    if not address:
        return escape_markdown(url, LABEL_LENGTH)
    host = urlsplit(address).netloc
    named = re.split(r"[/?#]", re.sub(r"^https?://", "", plain(label, _LONGEST_URL).lower()))[0] == host
    shown_host = escape_markdown(host, _LONGEST_URL)
    # Character references count in a link's address, the only markup that is left in one.
    markdown = f"[{_breakable(escape_markdown(label, LABEL_LENGTH)) or shown_host}](<{address.replace('&', '&amp;')}>)"
    return markdown if named or not clean(label) else f"{markdown} ({shown_host})"


def linkable(url: str) -> str:
    """
    Return the address of a web page with everything percent-encoded that has to be, and its host in ASCII.

    It is built anew from its parts: what is shown as the host is where a browser goes.

    :param url: Any text; anything but http or https, a host, and no credentials gives an empty string.
    """
    if len(url) > _LONGEST_URL:
        return ""
    try:
        parts = urlsplit(url.strip())
        host = _host(parts.hostname or "")
        port = f":{parts.port}" if parts.port is not None else ""
        path, query, fragment = map(_encoded, (parts.path or "/", parts.query, parts.fragment))
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        return ""
    return f"{parts.scheme}://{host}{port}{path}{query and f'?{query}'}{fragment and f'#{fragment}'}"


def _visible(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for character in text:
        kind = category(character)
        if character.isspace() or character == _BRAILLE_BLANK:
            kept.append("\n" if character == "\n" else " ")
        elif kind == "Cc" or (kind == "Cf" and character not in _SEEN_FORMATS) or _UNSEEN.match(character):
            continue
        elif kind[0] == "M" or character in _JOINERS:
            # At the start they would attach to what is ours; joiners count, or they would break a flood up.
            marks += 1
            if marks <= _MOST_MARKS and kept and not kept[-1].isspace():
                kept.append(character)
            continue
        else:
            kept.append("\ufffd" if kind == "Cs" else character)
        marks = 0
    return "".join(kept)


def _breakable(markdown: str) -> str:
    """Let a long word of a link's label break: Airflow breaks links at blanks only, and cuts off what is longer."""
    return _LONG_WORD.sub(lambda word: _PIECE.sub("\\g<0>\u200b", word[0]), markdown)


def _one_line(text: str) -> str:
    return " ".join(clean(text).split())


def _cut(text: str, limit: int) -> tuple[str, int]:
    # A text may be of any length: only its start is looked at.
    start = text[: 2 * limit]
    cleaned = clean(start)
    rest = max(len(cleaned) - limit, 0) + len(text) - len(start)
    return (cleaned[:limit].rstrip() if rest else cleaned), rest


def _more(count: int) -> str:
    return f"… ({count:,} more characters)" if count else ""


def _escaped(line: str) -> str:
    escaped = _LINE_START.sub(r"\1\\", _MARKUP.sub(r"\\\g<0>", _ADDRESS.sub(_WORD_JOINER, line)))
    # Text that runs from right to left is kept from reordering what stands beside it.
    if any(bidirectional(character) in ("R", "AL", "AN") for character in line):
        return f"{_FIRST_STRONG_ISOLATE}{escaped}{_POP_ISOLATE}"
    return escaped


def _host(name: str) -> str:
    # An IPv6 address is refused: react-markdown encodes its brackets, and the link would lead nowhere.
    if ":" in name or len(name) > _LONGEST_HOST:
        return ""
    # A name in other letters may look like one that is trusted: it is shown as it is resolved.
    host = name.encode("idna").decode().lower()
    if not _HOST.fullmatch(host):
        return ""
    # A browser reads a number such as 2130706433 as an address; only one that is written as such is clear.
    return str(IPv4Address(host)) if _NUMBER.fullmatch(host.rpartition(".")[2]) else host


def _encoded(part: str) -> str:
    return _LONE_PERCENT.sub("%25", quote(part, safe="/?%:@!$&()*+,;=~"))
