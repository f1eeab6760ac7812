# SPDX-License-Identifier: Apache-2.0
"""
Turns an agent's text into harmless plain text or Markdown. Every function cleans, then cuts, then escapes.

Airflow renders forms as Markdown (CommonMark and GFM). The text reads as the agent wrote it, but makes no heading,
link, or image, and hides nothing.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address
from unicodedata import bidirectional, category
from urllib.parse import quote, urlsplit

from airflow_provider_agentruns.text import quoted, single_line

CUT = "… (cut)"
#: The longest link label and the longest address that is not a link, in characters.
LABEL_LENGTH = 200
_MAX_URL = 2_000
_MAX_MARKS = 8

_WORD_JOINER = "\u2060"
_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"
_JOINERS = "\u200c\u200d"
_LINE_ENDS = re.compile(r"\r\n|[\n\r\v\f\x85\u2028\u2029]")

# Invisible characters besides category Cf: Hangul fillers, and what Unicode says to ignore in display.
_INVISIBLE = re.compile(
    "[\u115f\u1160\u17b4\u17b5\u2065\u3164\uffa0\ufff0-\ufff8\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)
_BRAILLE_BLANK = "\u2800"

# Every inline construct begins or ends with one of these. "!", "(", and "^" have a meaning only beside them.
# "<", ">", and "&" become references, which also keeps HTML and Slack messages harmless.
_ESCAPES = str.maketrans({**{mark: f"\\{mark}" for mark in "\\`*_[]~|#"}, "<": "&lt;", ">": "&gt;", "&": "&amp;"})
# These begin a list, an underlined heading, a rule, or a table's second line, at the start of a line only.
_LINE_START = re.compile(r"^(\d{1,9}(?=[.)](?: |$))|(?=[-+=:]))")
# GFM and chat programs turn bare addresses into links, so an invisible character has to interrupt them.
_ADDRESS = re.compile(r"(?<=:)(?=[/\\])|(?=@)|(?<=www)(?=\.)", re.IGNORECASE)

# Similar characters without a meaning in HTML and Slack messages.
_LOOKALIKES = str.maketrans("<>*`~|", "\u2039\u203a\u2217\u02cb\u223c\u2223")
# A character reference, and a Markdown link.
_REFERENCE = re.compile(r"(?<=&)(?=#?\w+;)|(?<=\])(?=[(\[:])")

# A word wider than a phone's column, and the pieces into which it can break. An escaped character stays whole.
_LONG_WORD = re.compile(r"(?:\\.|[^\s\\]){31,}")
_PIECE = re.compile(r"(?:\\.|&\w+;|[^\s\\]){16}(?=\S)")

_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_LONE_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")


def clean(text: str) -> str:
    """Return the text without invisible and layout characters. Lone surrogates become U+FFFD."""
    lines = (" ".join(line.split()) for line in _visible(_LINE_ENDS.sub("\n", text)).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def plain(text: object, limit: int) -> str:
    """Return a text as one line with at most ``limit`` characters; empty for other values. An ellipsis marks a cut."""
    if not isinstance(text, str):
        return ""
    start = text[: 4 * limit]
    line = " ".join(clean(start).split())
    complete = len(line) <= limit and len(start) == len(text)
    return line if complete or not line else f"{line[: limit - 1].rstrip()}…"


def plain_for_messages(text: str, limit: int) -> str:
    """Return the text as one line that is also harmless in HTML and in Slack messages."""
    line = _REFERENCE.sub(_WORD_JOINER, plain(text, limit).translate(_LOOKALIKES))
    return _ADDRESS.sub(_WORD_JOINER, line)


def interrupt_name(run_id: str, interrupt_id: str) -> str:
    return f"interrupt {quoted(interrupt_id)} of agent run {single_line(run_id)}"


def escape_markdown(text: str, limit: int) -> str:
    """Return the text as one line of Markdown that displays only the text."""
    return _escape(" ".join(_cut(text, limit).split()))


def escape_markdown_lines(text: str, limit: int) -> list[str]:
    """Return the text as lines of Markdown. An empty line separates paragraphs."""
    lines = [_escape(line) for line in _cut(text, limit).split("\n")]
    # Two spaces keep a line break.
    return [f"{line}  " if line and after else line for line, after in zip(lines, [*lines[1:], ""], strict=True)]


def link(label: str, url: str) -> str:
    """Return a Markdown link with its host, because a label can lie, or plain text if the address is not safe."""
    address = safe_url(url)
    text = escape_markdown(label, LABEL_LENGTH)
    if not address:
        return " ".join(filter(None, (text, escape_markdown(url, LABEL_LENGTH))))
    host = escape_markdown(urlsplit(address).netloc, _MAX_URL)
    # Without angle brackets, which begin a tag if a notifier puts the Markdown into HTML. Parentheses and character
    # references are the only markup that an encoded address can contain.
    target = address.replace("&", "&amp;").replace("(", "%28").replace(")", "%29")
    # Airflow breaks links at blanks only, and cuts off the rest.
    breakable = _LONG_WORD.sub(lambda word: _PIECE.sub("\\g<0>\u200b", word[0]), text or host)
    return f"[{breakable}]({target})" + (f" ({host})" if text else "")


def safe_url(url: str) -> str:
    """Return the address of a web page, percent-encoded and with an ASCII host, or an empty string."""
    if len(url) > _MAX_URL:
        return ""
    try:
        parts = urlsplit(url.strip())
        host = _host(parts.hostname or "")
        port = f":{parts.port}" if parts.port is not None else ""
        path, query, fragment = map(_encode, (parts.path or "/", parts.query, parts.fragment))
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        return ""
    # Rebuilt, so that a browser opens the displayed host.
    address = f"{parts.scheme}://{host}{port}{path}{query and f'?{query}'}{fragment and f'#{fragment}'}"
    return address if len(address) <= _MAX_URL else ""


def _visible(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for character in text:
        kind = category(character)
        if character.isspace() or character == _BRAILLE_BLANK:
            kept.append("\n" if character == "\n" else " ")
        elif kind == "Cc" or (kind == "Cf" and character not in _JOINERS) or _INVISIBLE.match(character):
            continue
        elif kind[0] == "M" or character in _JOINERS:
            # Marks at the start would combine with our text. Joiners count as marks, or they would reset the count.
            marks += 1
            if marks <= _MAX_MARKS and kept and not kept[-1].isspace():
                kept.append(character)
            continue
        else:
            kept.append("\ufffd" if kind == "Cs" else character)
        marks = 0
    return "".join(kept)


def _cut(text: str, limit: int) -> str:
    # A text can be long, so only its start is processed.
    start = text[: 2 * limit]
    cleaned = clean(start)
    complete = len(cleaned) <= limit and len(start) == len(text)
    return cleaned if complete else f"{cleaned[:limit].rstrip()}{CUT}"


def _escape(line: str) -> str:
    escaped = _LINE_START.sub(r"\1\\", _ADDRESS.sub(_WORD_JOINER, line).translate(_ESCAPES))
    # Isolated, text that runs from right to left does not reorder the text around it.
    if any(bidirectional(character) in ("R", "AL", "AN") for character in line):
        return f"{_FIRST_STRONG_ISOLATE}{escaped}{_POP_ISOLATE}"
    return escaped


def _host(name: str) -> str:
    # Letters of other scripts can imitate a trusted name, so the name is shown in the form that is resolved.
    host = name.encode("idna").decode().lower()
    # This also rejects IPv6 addresses: react-markdown encodes their brackets, which breaks the link.
    if not _HOST.fullmatch(host):
        return ""
    # A browser reads a number such as 2130706433 as an address. Only the usual notation is clear to people.
    return str(IPv4Address(host)) if _NUMBER.fullmatch(host.rpartition(".")[2]) else host


def _encode(part: str) -> str:
    return _LONE_PERCENT.sub("%25", quote(part, safe="/?%:@!$&()*+,;=~"))
