# SPDX-License-Identifier: Apache-2.0
"""The service as a web application."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from airflow_provider_agentruns.emulator.errors import answer_fault, answer_http_exception, answer_problem
from airflow_provider_agentruns.emulator.guard import Guard, Token
from airflow_provider_agentruns.emulator.problems import Problem
from airflow_provider_agentruns.emulator.routes import Operations
from airflow_provider_agentruns.emulator.service import Service
from airflow_provider_agentruns.emulator.streaming import Streams


def create_app(
    service: Service,
    *,
    token: str | None = None,
    rate_limit: int | None = None,
    feedback_enabled: bool = True,
    middleware: Sequence[Middleware] = (),
) -> Starlette:
    """
    Make the web application. Its ``state.streams`` ends the open streams, and its ``state.token`` can be rotated.

    :param token: The only token that is good; None takes any.
    :param rate_limit: Requests within one second; None allows any number.
    :param feedback_enabled: Whether the account may rate artifacts.
    :param middleware: Comes before everything else, so it sees each request first and each answer last.
    """
    streams = Streams()
    good = Token(token)
    app = Starlette(
        routes=Operations(service, streams, feedback_enabled=feedback_enabled).routes(),
        middleware=[*middleware, Middleware(Guard, token=good, rate_limit=rate_limit)],
        exception_handlers={
            Problem: answer_problem,
            HTTPException: answer_http_exception,
            Exception: answer_fault,
        },
    )
    app.router.redirect_slashes = False
    app.state.streams = streams
    app.state.token = good
    return app
