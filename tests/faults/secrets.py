# SPDX-License-Identifier: Apache-2.0
"""Searches output for a token in any encoding."""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest


def forms_of(token: str) -> set[bytes]:
    """Return the encodings of a token: plain, URL-encoded, as JSON, as hex, and in base64 at any offset."""
    raw = token.encode()
    texts = {token, quote(token, safe=""), quote(token), quote_plus(token), json.dumps(token)[1:-1], raw.hex()}
    found = {text.encode() for text in texts}
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(b" " * offset + raw)
            # Without the characters that also depend on the bytes before and after the token.
            found.add(encoded[4 * (offset > 0) : 4 * ((offset + len(raw)) // 3)])
    return found


def leaks(token: str, out: Iterable[tuple[str, bytes]]) -> list[str]:
    forms = forms_of(token)
    return [where for where, content in out if any(form in content for form in forms)]


def of_all(things: Iterable[object]) -> Iterator[tuple[str, bytes]]:
    """Yield everything that objects and exceptions with their causes show."""
    pending, seen = list(things), set()
    while pending:
        it = pending.pop()
        texts = [str(it), repr(it)]
        if isinstance(it, BaseException) and id(it) not in seen:
            seen.add(id(it))
            pending += [other for other in (it.__cause__, it.__context__) if other is not None]
            formatted = "".join(traceback.TracebackException.from_exception(it).format())
            texts += [repr(it.args), repr(vars(it)), repr(getattr(it, "__notes__", "")), formatted]
        for text in texts:
            yield type(it).__name__, text.encode(errors="surrogatepass")


def of_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield str(path.relative_to(folder)), path.read_bytes()


def of_log(log: pytest.LogCaptureFixture) -> Iterator[tuple[str, bytes]]:
    """Yield all log messages with their tracebacks and arguments."""
    yield "log", log.text.encode(errors="surrogatepass")
    yield "log", repr([record.args for record in log.records]).encode()
