# SPDX-License-Identifier: Apache-2.0
"""Searches output for a token in any encoding."""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, quote_plus


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


def leaks(token: str, things: Iterable[object], folder: Path) -> list[str]:
    """Return the objects and the files in a folder that show a token."""
    out = [(type(it).__name__, _shown(it).encode(errors="surrogatepass")) for it in things]
    out += [(str(path), path.read_bytes()) for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    forms = forms_of(token)
    return [where for where, content in out if any(form in content for form in forms)]


def _shown(it: object) -> str:
    """Return all texts of an object, or of an exception and its causes."""
    texts = [str(it), repr(it)]
    if isinstance(it, BaseException):
        texts += [*traceback.format_exception(it), repr(it.args), repr(vars(it))]
        texts += [_shown(other) for other in (it.__cause__, it.__context__) if other]
    return "\n".join(texts)
