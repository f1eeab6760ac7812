# SPDX-License-Identifier: Apache-2.0
"""The matrix rejects invalid combinations, and fails if a combination did not run."""

from __future__ import annotations

import pytest

from tests.matrix import __main__ as matrix
from tests.matrix.__main__ import Result, main


@pytest.mark.parametrize("text", ["3.1", "3.1:", "3.1.8:3.11", "4.0:3.11", "3.0:3.11", "3.1:3.11 "])
def test_an_invalid_combination_is_rejected(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([text]) == 2
    assert text in capsys.readouterr().err


def test_all_supported_combinations_have_constraints() -> None:
    assert {matrix.parse(text)[0] for text in (*matrix.ALL, *matrix.FEW)} == {"3.1", "3.2", "3.3"}


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (Result("3.3.2", "3.13.0", "7 passed, 1 skipped in 3.21s", passed=True), 0),
        (Result("3.3", "3.13", "Python 3.13 is not installed"), 1),
    ],
)
def test_a_combination_that_did_not_run_fails(
    result: Result, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(matrix, "run", lambda *_: result)
    assert main(["3.3:3.13"]) == code
    assert result.summary in capsys.readouterr().out
