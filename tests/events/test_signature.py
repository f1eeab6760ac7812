# SPDX-License-Identifier: Apache-2.0
"""Signatures, as the service makes them, and what may be taken for one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_agentruns.events.signature import is_signed, read_signature, sign

BODY = b'{"object": "event"}\n'
SECRET = "a secret with \xe4"


def test_it_is_the_example_of_rfc_4231() -> None:
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert sign(b"what do ya want for nothing?", "Jefe") == f"sha256={expected}"


@pytest.mark.parametrize("form", ["{}", "sha256={}", "SHA256={}", "  sha256={}  "])
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_each_usual_spelling_is_read(form: str, case: Callable[[str], str]) -> None:
    header = form.format(case(sign(BODY, SECRET).removeprefix("sha256=")))
    signature = read_signature(header)
    assert signature is not None
    assert is_signed(BODY, signature, [SECRET])


@pytest.mark.parametrize(
    "header", [None, "", "sha256=", "sha1=" + "ab" * 32, "ab" * 31, "ab" * 33, "\u0661" * 64, "0x" + "ab" * 31]
)
def test_what_is_no_signature_is_none(header: str | None) -> None:
    assert read_signature(header) is None


def test_one_of_several_secrets_is_enough_and_none_is_not() -> None:
    signature = read_signature(sign(BODY, SECRET))
    assert signature is not None
    assert is_signed(BODY, signature, ["another", SECRET])
    assert is_signed(BODY, signature, [SECRET, "another"])
    assert not is_signed(BODY, signature, ["another"])
    assert not is_signed(BODY, signature, [])
