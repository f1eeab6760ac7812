# SPDX-License-Identifier: Apache-2.0
"""Faults of an answer that is not what a client of the contract expects: no JSON, no body, another sender."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from starlette.responses import Response

from airflow_provider_agentruns.emulator.faults.base import Fault, FaultError, always, known_as
from airflow_provider_agentruns.emulator.faults.exchange import Exchange
from airflow_provider_agentruns.emulator.serving import is_loopback

_PAGE = "<!DOCTYPE html><html><head><title>Gateway</title></head><body><h1>Please sign in</h1></body></html>"
_REDIRECTS = (301, 302, 303, 307, 308)


@known_as("truncated JSON")
@dataclass(frozen=True, kw_only=True)
class TruncatedJson(Fault):
    """Sends a proper answer, but the JSON in it ends in the middle. Carried out."""

    taken: bool = always()

    async def meet(self, exchange: Exchange) -> None:
        """Send half of the JSON as if it were all."""
        async with exchange.carried_out() as answer:
            body = await answer.body()
            await exchange.whole(answer.status, answer.headers, body[: len(body) // 2])


@known_as("malformed JSON")
@dataclass(frozen=True, kw_only=True)
class MalformedJson(Fault):
    """Sends a proper answer, but a brace too many makes its JSON none. Carried out."""

    taken: bool = always()

    async def meet(self, exchange: Exchange) -> None:
        """Add a brace."""
        async with exchange.carried_out() as answer:
            await exchange.whole(answer.status, answer.headers, b"{" + await answer.body())


@known_as("proxy page")
@dataclass(frozen=True, kw_only=True)
class ProxyPage(Fault):
    """
    Answers with the HTML page of some proxy. Not carried out, unless told to be.

    :param status: The status that the page comes with.
    :param taken: Whether it is carried out.
    """

    status: int = 200
    taken: bool = False

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        _check_status(self.status)

    async def meet(self, exchange: Exchange) -> None:
        """Answer as a proxy."""
        await _answer_instead(exchange, Response(_PAGE, self.status, media_type="text/html"), taken=self.taken)


@known_as("foreign error")
@dataclass(frozen=True, kw_only=True)
class ForeignError(Fault):
    """
    Answers with an error whose body is not the contract's, or with anything. Not carried out, unless told to be.

    :param status: The status of the answer.
    :param body: Its body.
    :param content_type: Its content type.
    :param taken: Whether it is carried out.
    """

    status: int = 500
    body: str = '{"error": {"code": "internal", "detail": "Something went wrong"}}'
    content_type: str = "application/json"
    taken: bool = False

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        _check_status(self.status)
        _check_header("content_type", self.content_type)

    async def meet(self, exchange: Exchange) -> None:
        """Answer in other words."""
        headers = {"Content-Type": self.content_type}
        body = self.body.encode(errors="surrogatepass")
        await _answer_instead(exchange, Response(body, self.status, headers), taken=self.taken)


@known_as("wrong content type")
@dataclass(frozen=True, kw_only=True)
class WrongContentType(Fault):
    """
    Sends the true answer under another content type. Carried out.

    :param content_type: What it claims to be.
    """

    content_type: str = "text/plain"
    taken: bool = always()

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        _check_header("content_type", self.content_type)

    async def meet(self, exchange: Exchange) -> None:
        """Change one header."""
        async with exchange.carried_out() as answer:
            headers = answer.headers.mutablecopy()
            headers["content-type"] = self.content_type
            await exchange.begin(answer.status, headers)
            async for piece in answer.pieces():
                await exchange.piece(piece)
            await exchange.end()


@known_as("empty body")
@dataclass(frozen=True, kw_only=True)
class EmptyBody(Fault):
    """Sends the head of the true answer, with a body of no bytes. Carried out."""

    taken: bool = always()

    async def meet(self, exchange: Exchange) -> None:
        """Leave the body out."""
        async with exchange.carried_out() as answer:
            await exchange.whole(answer.status, answer.headers, b"")


@known_as("redirect")
@dataclass(frozen=True, kw_only=True)
class Redirect(Fault):
    """
    Points to another host, where nobody is. Not carried out.

    :param to: Where to, on this machine or on a host below ``.invalid``; without it, the same path on 127.0.0.2.
    :param status: 301, 302, 303, 307 or 308.
    """

    to: str | None = None
    status: int = 302

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        if self.status not in _REDIRECTS:
            raise FaultError(f"must be one of {', '.join(map(str, _REDIRECTS))}, not {self.status}", "status")
        if self.to is None:
            return
        host = urlsplit(self.to).hostname or ""
        if not (is_loopback(host) or host.endswith(".invalid")) or quote(self.to, safe="/:?&=%#") != self.to:
            raise FaultError(f"must be a URL of this machine or of a host below .invalid, not {self.to!r}", "to")

    async def meet(self, exchange: Exchange) -> None:
        """Send the client away."""
        to = self.to or f"http://127.0.0.2:{exchange.server[1]}{quote(exchange.request.path)}"
        await exchange.respond(Response(status_code=self.status, headers={"Location": to}))


async def _answer_instead(exchange: Exchange, response: Response, *, taken: bool) -> None:
    if taken:
        async with exchange.carried_out():
            pass
    await exchange.respond(response)


def _check_status(status: int) -> None:
    if not 200 <= status <= 599 or status in (204, 304):
        raise FaultError(f"must be a status with a body, from 200 to 599, not {status}", "status")


def _check_header(name: str, value: str) -> None:
    if not (value.isascii() and value.isprintable()):
        raise FaultError("must be a text that fits into a header", name)
