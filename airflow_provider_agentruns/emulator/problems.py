# SPDX-License-Identifier: Apache-2.0
"""What the service refuses. HTTP has a status for each; the service itself knows nothing of that."""

from __future__ import annotations


class Problem(Exception):  # noqa: N818 -- an answer to the caller, not a fault of the service
    """
    Base of all refusals.

    :param message: What is wrong, for people.
    :param parameter: Which field is wrong, where it is one.
    """

    def __init__(self, message: str, parameter: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.parameter = parameter


class Malformed(Problem):
    """The request is not JSON."""


class Incomplete(Problem):
    """The request does not say enough, or contradicts itself."""


class NotFound(Problem):
    """There is no such thing."""


class NotPending(Problem):
    """That interrupt does not wait for an answer, or does so no more."""


class Unprocessable(Problem):
    """A field is missing or wrong, or what it asks for cannot be done."""


class NotEnabled(Problem):
    """The account may not do this."""
