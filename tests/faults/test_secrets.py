# SPDX-License-Identifier: Apache-2.0
"""The search for tokens finds each encoding of a token, and nothing else."""

from __future__ import annotations

import base64
import logging
from urllib.parse import quote

import pytest

from tests.faults import secrets

#: Not the prefix of the table's tokens, so that the table's tests do not find it.
NEEDLE = "mk_test_0ne/Needle+please"
TOKEN = f"{NEEDLE}/poke/0"


@pytest.mark.parametrize(
    "hidden", [TOKEN, quote(TOKEN, safe=""), base64.b64encode(f":{TOKEN}".encode()).decode(), TOKEN.encode().hex()]
)
def test_each_encoding_is_found(hidden: str) -> None:
    assert secrets.leaks(NEEDLE, [("there", f"x{hidden}y".encode()), ("not there", b"mk_test_offline")]) == ["there"]


def test_a_token_in_an_exception_or_a_log_record_is_found(caplog: pytest.LogCaptureFixture) -> None:
    error = RuntimeError("on top")
    error.__context__ = ValueError("plain")
    assert not secrets.leaks(NEEDLE, secrets.of_all([error]))
    error.__context__.__cause__ = KeyError(TOKEN)
    assert secrets.leaks(NEEDLE, secrets.of_all([error]))
    logging.getLogger("somebody.elses").error("failed", exc_info=error)
    assert secrets.leaks(NEEDLE, secrets.of_log(caplog))
