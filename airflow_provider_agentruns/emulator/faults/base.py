# SPDX-License-Identifier: Apache-2.0
"""What a fault is, and the registry of the built-in ones by name."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from types import UnionType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from airflow_provider_agentruns.emulator.faults.exchange import Exchange
from airflow_provider_agentruns.emulator.faults.messages import Incoming

#: The words of a rule: no parameter of a fault is called like one of them.
RULE_WORDS = ("fault", "method", "path", "after", "times", "share")

_WORDS: dict[Any, str] = {
    float: "a number",
    int: "a whole number",
    str: "a text",
    bool: "true or false",
    type(None): "null",
}


class FaultError(ValueError):
    """
    A fault or a rule that makes no sense.

    :param field: Which field is wrong, where it is one.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.message = message
        self.field = field


@dataclass(frozen=True, kw_only=True)
class Fault:
    """
    Something that goes wrong with a request. To have one of your own, write ``meet`` in a subclass.

    :param taken: Whether the request is carried out. A choice where the fault takes it as a parameter.
    """

    name: ClassVar[str] = "a fault of your own"
    #: What it happens to. Only a request has a method and a path.
    meets: ClassVar[Literal["request", "connection", "service"]] = "request"

    taken: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """
        Check the parameters of a built-in one.

        :raises FaultError: If one is of another kind, or too small.
        """
        if type(self) is not FAULTS.get(self.name):
            return
        hints = get_type_hints(type(self))
        for parameter in parameters_of(type(self)):
            check(
                parameter.name,
                getattr(self, parameter.name),
                hints[parameter.name],
                parameter.metadata.get("minimum"),
            )

    def applies(self, request: Incoming, since: float) -> bool:
        """
        Say whether the fault means anything for a request that its rule fits; else that request is not met.

        :param since: When the rule came into force, by ``time.monotonic()``.
        """
        return True

    async def meet(self, exchange: Exchange) -> None:
        """Let it happen to a request."""
        raise NotImplementedError


FAULTS: dict[str, type[Fault]] = {}
"""The built-in faults by name."""

_F = TypeVar("_F", bound=type[Fault])


def known_as(name: str) -> Callable[[_F], _F]:
    """Put a fault into the registry."""

    def register(fault: _F) -> _F:
        fault.name = name
        FAULTS[name] = fault
        return fault

    return register


def always() -> Any:
    """Make the field ``taken`` of a fault whose requests are always carried out."""
    return field(default=True, init=False)


def at_least(minimum: float, default: Any) -> Any:
    """Make the field of a parameter that is a number from some limit on."""
    return field(default=default, metadata={"minimum": minimum})


def parameters_of(fault: type[Fault]) -> list[dataclasses.Field[Any]]:
    """List the parameters of a fault."""
    return [parameter for parameter in dataclasses.fields(fault) if parameter.init]


def check(name: str, value: object, hint: Any, minimum: float | None = None) -> None:
    """
    Check the value of a field.

    :param hint: Its type: one of the simple ones that JSON has, or a union of them.
    :raises FaultError: If it is of another kind, or too small.
    """
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if not any(_is(value, kind) for kind in kinds):
        raise FaultError(f"must be {' or '.join(_WORDS[kind] for kind in kinds)}, not {value!r}", name)
    if minimum is not None and isinstance(value, int | float) and value < minimum:
        raise FaultError(f"must be at least {minimum}, not {value!r}", name)


def _is(value: object, kind: Any) -> bool:
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, kind)
