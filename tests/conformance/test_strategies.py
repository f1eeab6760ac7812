# SPDX-License-Identifier: Apache-2.0
"""The generated values fit the contract and cover it. Otherwise the tests that use them would prove little."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator, FormatChecker

from tests.conformance import strategies
from tests.conformance.effort import tries
from tests.emulator.contract import CONTRACT

FIELDS = CONTRACT["components"]["schemas"]["Run"]["properties"]


@pytest.mark.parametrize("name", sorted(CONTRACT["components"]["schemas"]))
def test_generated_values_fit_the_contract(name: str) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": CONTRACT["components"]}
    validator = Draft202012Validator(schema, format_checker=FormatChecker(["uuid"]))

    @tries(30, 1000)
    @given(strategies.of(name))
    def each(document: Any) -> None:
        validator.validate(document)

    each()


def test_every_shape_of_a_run_is_generated() -> None:
    seen: Counter[str] = Counter()

    @tries(300, 2000)
    @given(strategies.RUNS)
    def each(run: dict[str, Any]) -> None:
        seen.update(f"{run['status']} {'with' if name in run else 'without'} {name}" for name in FIELDS)
        seen.update(f"{name} is null" for name in FIELDS if name in run and run[name] is None)
        seen["an unknown field"] += not run.keys() <= FIELDS.keys()
        seen["text beyond the first plane"] += any(ord(letter) > 0xFFFF for letter in str(run))
        seen["steps in steps"] += any(step.get("steps") for step in run.get("steps", ()))
        seen["several interrupts"] += len(run.get("interrupts", ())) > 1

    each()
    required = set(CONTRACT["components"]["schemas"]["Run"]["required"])
    wanted = {
        f"{status} {has} {name}"
        for status in FIELDS["status"]["enum"]
        for name in FIELDS
        for has in (("with",) if name in required else ("with", "without"))
    }
    wanted |= {f"{name} is null" for name in ("requester", "started_at", "ended_at", "output")}
    wanted |= {"an unknown field", "text beyond the first plane", "steps in steps", "several interrupts"}
    assert {what for what in wanted if not seen[what]} == set()
