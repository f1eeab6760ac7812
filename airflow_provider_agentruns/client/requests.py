# SPDX-License-Identifier: Apache-2.0
"""Describes each request of the service once, without I/O. A wrong argument raises :class:`AgentRunsValueError`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

from airflow_provider_agentruns.client.request_queue import Priority
from airflow_provider_agentruns.client.responses import (
    ListedPage,
    ListedRun,
    Response,
    listed_page,
    model,
    run_page,
    run_state,
)
from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.models import (
    Agent,
    AgentList,
    AgentRun,
    Feedback,
    Rating,
    RunEvent,
    RunPage,
    Thread,
    ThreadPage,
)

T = TypeVar("T")

#: The body of ``POST /v1/runs/{id}/resume``, which the service does not document. A connection can set another one.
DEFAULT_RESUME_BODY: dict[str, Any] = {"interrupt_id": "{interrupt_id}", "input": "{input}"}

_MAX_STATE_BYTES = 16 * 1024 * 1024
_LONGEST_ID = 200
_LONGEST_COMMENT = 5000
_UNRENDERED = re.compile(r"\{\{|\}\}|\{%")
_PLACEHOLDER = re.compile(r"\{(interrupt_id|input)\}")


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """
    One request, and how to parse its response.

    :param path: The path below the base URL, percent-encoded.
    :param parse: Returns the result from a 2xx response.
    :param max_bytes: The largest response, in bytes; None for the transport's limit.
    :param max_wait: The longest delay by the rate limit, in seconds; None for any. A longer one raises an error.
    :param answer: The interrupt ID and the input, for the connection's ``resume_body``.
    """

    method: Literal["GET", "POST"]
    path: str
    parse: Callable[[Response], T]
    params: dict[str, str | int] = field(default_factory=dict)
    body: dict[str, Any] | None = None
    priority: Priority = Priority.WAIT
    max_bytes: int | None = None
    max_wait: float | None = None
    answer: tuple[str, Any] | None = None

    @property
    def route(self) -> str:
        """The path with ``ID`` in place of each ID, for metrics. After ``/v1``, names and IDs alternate."""
        parts = self.path.split("/")
        return "/".join("ID" if number > 2 and number % 2 else part for number, part in enumerate(parts))


def get_run(run_id: str, *, include_steps: bool = False) -> Request[AgentRun]:
    """Read one run. ``include_steps`` costs the service an additional query."""
    return Request("GET", f"/v1/runs/{_id('run_id', run_id)}", model(AgentRun), _include(include_steps))


def get_run_state(run_id: str, priority: Priority = Priority.WAIT) -> Request[ListedRun]:
    """Read one run, but parse only its status and the IDs of its interrupts."""
    path = f"/v1/runs/{_id('run_id', run_id)}"
    return Request("GET", path, run_state, priority=priority, max_bytes=_MAX_STATE_BYTES)


def list_runs(*, page: int = 1, page_size: int = 100) -> Request[RunPage]:
    """Read one page of the listing of runs, from 1. It may have fewer runs than ``page_size``."""
    return Request("GET", "/v1/runs", run_page, _page(page, page_size))


def list_run_states(*, page: int = 1, page_size: int = 100) -> Request[ListedPage]:
    """Read one page of the listing, but parse only what :func:`get_run_state` parses."""
    return Request("GET", "/v1/runs", listed_page, _page(page, page_size), max_bytes=_MAX_STATE_BYTES)


def create_run(
    agent: str,
    *,
    business_id: str | None = None,
    context_type: str | None = None,
    context_id: str | None = None,
    thread_id: str | None = None,
) -> Request[AgentRun]:
    """
    Start a run.

    :param agent: The agent's type, e.g. ``cip_orchestrator``.
    :param business_id: Short for ``context_type="business"`` with this ``context_id``.
    :param context_type: The kind of resource to work on; requires ``context_id``.
    :param context_id: The ID of that resource.
    :param thread_id: Run inside this thread. No other context is needed then.
    """
    context = _context(business_id=business_id, context_type=context_type, context_id=context_id, thread_id=thread_id)
    if not context:
        raise AgentRunsValueError(
            "a run needs something to work on: set business_id, context_type with context_id, or thread_id"
        )
    body = {"type": _text("agent", agent), **context}
    return Request("POST", "/v1/runs", model(AgentRun), body=body, priority=Priority.START)


def resume_run(
    run_id: str,
    interrupt_id: str,
    input: Any,  # noqa: A002 -- the service's own word
    *,
    include_steps: bool = False,
) -> Request[AgentRun]:
    """
    Answer one pending interrupt, with the body that the connection's ``resume_body`` describes.

    :param input: The answer: any JSON value.
    """
    answer = (_text("interrupt_id", interrupt_id), input)
    path, body = f"/v1/runs/{_id('run_id', run_id)}/resume", fill_resume_body(DEFAULT_RESUME_BODY, *answer)
    return Request("POST", path, model(AgentRun), _include(include_steps), body, Priority.START, answer=answer)


def stream_run(run_id: str) -> Request[RunEvent]:
    """Follow a run's events, with a transport's ``stream``."""
    return Request("GET", f"/v1/runs/{_id('run_id', run_id)}/stream", model(RunEvent))


def rate_artifact(run_id: str, artifact_id: str, rating: Rating | str, comment: str | None = None) -> Request[Feedback]:
    """
    Rate one artifact of a run.

    :param rating: ``POSITIVE`` or ``NEGATIVE``.
    :param comment: At most 5,000 characters.
    """
    if rating not in tuple(Rating):
        raise AgentRunsValueError(f"rating must be POSITIVE or NEGATIVE, not {rating!r}")
    if comment is not None and len(comment) > _LONGEST_COMMENT:
        raise AgentRunsValueError(f"comment has {len(comment)} characters; the maximum is {_LONGEST_COMMENT}")
    body = {"rating": str(rating), "artifact_id": _text("artifact_id", artifact_id)}
    if comment is not None:
        body["comment"] = comment
    return Request("POST", f"/v1/runs/{_id('run_id', run_id)}/feedback", model(Feedback), body=body)


def list_agents() -> Request[list[Agent]]:
    """Read the agents that the account may run."""
    return Request("GET", "/v1/agents", lambda response: AgentList.model_validate(response.json()).data)


def get_thread(thread_id: str) -> Request[Thread]:
    """Read one thread."""
    return Request("GET", f"/v1/threads/{_id('thread_id', thread_id)}", model(Thread))


def list_threads(*, business_id: str | None = None, page: int = 1, page_size: int = 100) -> Request[ThreadPage]:
    """Read one page of the listing of threads, optionally those of one business."""
    return Request("GET", "/v1/threads", model(ThreadPage), _page(page, page_size) | _context(business_id=business_id))


def create_thread(
    agent: str, *, business_id: str | None = None, context_type: str | None = None, context_id: str | None = None
) -> Request[Thread]:
    """Open a thread with an agent about one context."""
    context = _context(business_id=business_id, context_type=context_type, context_id=context_id)
    return Request("POST", "/v1/threads", model(Thread), body={"type": _text("agent", agent)} | context)


def fill_resume_body(template: dict[str, Any], interrupt_id: str, answer: Any) -> dict[str, Any]:
    """Fill the placeholders. A value that is just ``{input}`` becomes the answer itself; elsewhere, it becomes text."""
    try:
        as_json = json.dumps(answer, allow_nan=False, ensure_ascii=False)
        as_json.encode()
    except (TypeError, ValueError) as e:
        raise AgentRunsValueError(f"input must be a JSON value: {e}") from None
    as_text = answer if isinstance(answer, str) else as_json

    def fill(part: Any) -> Any:
        if part == "{input}":
            return answer
        if isinstance(part, str):
            return _PLACEHOLDER.sub(lambda m: interrupt_id if m[1] == "interrupt_id" else as_text, part)
        if isinstance(part, dict):
            return {fill(key) if key != "{input}" else as_text: fill(value) for key, value in part.items()}
        if isinstance(part, list):
            return [fill(entry) for entry in part]
        return part

    filled: dict[str, Any] = fill(template)
    return filled


def _id(name: str, value: object) -> str:
    text = _text(name, value)
    if len(text) > _LONGEST_ID:
        raise AgentRunsValueError(f"{name} has {len(text)} characters; an ID has at most {_LONGEST_ID}")
    # A dict or list comes from the complete output of another task.
    if text in (".", "..") or text[0] in "{[" or not text.isprintable() or text != text.strip():
        raise AgentRunsValueError(f"{name} is not an ID: {text!r}")
    return quote(text, safe="")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise AgentRunsValueError(f"{name} must be a string, not {type(value).__name__}")
    if not value.strip() or value == "None":
        raise AgentRunsValueError(
            f"{name} is {'None' if value else 'empty'}. If it comes from another task's XCom, check that the task ran "
            "and pushed it"
        )
    if _UNRENDERED.search(value):
        raise AgentRunsValueError(f"{name} is a template that was not rendered: {value[:_LONGEST_ID]!r}")
    return value


def _include(steps: bool) -> dict[str, str | int]:
    return {"include": "steps"} if steps else {}


def _page(page: int, page_size: int) -> dict[str, str | int]:
    if page_size < 1:
        raise AgentRunsValueError(f"page_size must be at least 1, not {page_size}")
    return {"page": page, "per_page": page_size}


def _context(**given: str | None) -> dict[str, Any]:
    # An empty text, which a template may render, counts as not set.
    context = {name: _text(name, value) for name, value in given.items() if value is not None and value != ""}
    if ("context_type" in context) != ("context_id" in context):
        there, missing = sorted(("context_type", "context_id"), key=context.__contains__, reverse=True)
        raise AgentRunsValueError(f"{there} is set without {missing}; set both")
    if "business_id" in context and "context_id" in context:
        raise AgentRunsValueError("business_id is short for context_type and context_id; set one or the other")
    return context
