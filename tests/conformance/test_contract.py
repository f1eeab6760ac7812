# SPDX-License-Identifier: Apache-2.0
"""
The offline service keeps to the contract, whatever it is asked: schemathesis draws requests from the contract, such as
fit it and such as do not, and checks each answer against it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from starlette.middleware import Middleware

from airflow_provider_agentruns.emulator.app import create_app
from airflow_provider_agentruns.emulator.middleware import AuthMiddleware
from tests.conformance.amended import contract_of, seeded
from tests.conformance.effort import tries
from tests.emulator.contract import CONTRACT

pytestmark = pytest.mark.full

schemathesis = pytest.importorskip("schemathesis")

TOKEN = "mk_test_conformance"

OPERATIONS = [(method.upper(), path) for path, operations in CONTRACT["paths"].items() for method in operations]


@pytest.fixture(scope="module")
def api() -> Any:
    """Return the contract of a service that holds something, with the service behind it."""
    service = seeded()
    api = schemathesis.openapi.from_dict(contract_of(service))
    api.app = create_app(service, [Middleware(AuthMiddleware, lambda: TOKEN, None)])

    @api.hook
    def filter_query(context: Any, query: dict[str, Any] | None) -> bool:
        # HTTP lets a service ignore parameters that it does not know.
        return not query or query.keys() <= {parameter.name for parameter in context.operation.query}

    return api


@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[f"{method} {path}" for method, path in OPERATIONS])
def test_an_operation_keeps_to_the_contract(api: Any, method: str, path: str, mode: str) -> None:
    seen: Counter[int] = Counter()

    @tries(25, 1000)
    @given(api[path][method].as_strategy(generation_mode=schemathesis.GenerationMode(mode)))
    def each(case: Any) -> None:
        seen[case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"}).status_code] += 1

    each()
    # Not all was refused, or carried out.
    assert any((status < 400) is (mode == "positive") for status in seen), seen
