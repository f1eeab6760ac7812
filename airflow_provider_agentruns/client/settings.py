# SPDX-License-Identifier: Apache-2.0
"""
Where and how to reach the service: the content of an Airflow connection, checked. Free of Airflow.

The parts may come from the connection form, from JSON or from a URI, in which all values are text; each is
accepted in each of these forms.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import logging
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from airflow_provider_agentruns.client.requests import DEFAULT_RESUME_BODY
from airflow_provider_agentruns.client.webhook_secrets import webhook_secrets
from airflow_provider_agentruns.exceptions import AgentRunsConfigError

log = logging.getLogger(__name__)

DEFAULT_BASE_URL = "https://api.middesk.com"

_FlagOrPath = Annotated[bool | str, BeforeValidator(lambda value: _flag(value))]


class Settings(BaseModel):
    """
    What a client needs to know.

    :param base_url: Scheme, host, port and, where there is one, a path before ``/v1``.
    :param token: The API token.
    :param timeout: Seconds for one request.
    :param rate_limit: Requests per second that the processes of this machine may send for the account.
    :param max_retries: How often one request is sent again.
    :param max_streams: How many streams of events one event loop holds open.
    :param verify: Whether to check the service's certificate, or the path of the CA bundle to check it with.
    :param proxy: URL of a proxy.
    :param run_url: Template of a run's page, with ``{run_id}``.
    :param resume_body: Template of what ``/resume`` is sent.
    :param allow_http: Whether the token may travel in clear to another machine.
    :param webhook_secret: What the service signs webhooks with. Several while one is exchanged for another: a list,
        or a text with blanks between them. Without any, no webhook is taken.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    # Before base_url, whose check reads it.
    allow_http: bool = False
    base_url: str = DEFAULT_BASE_URL
    token: SecretStr
    timeout: float = Field(default=30.0, gt=0, le=3600)
    rate_limit: float = Field(default=20.0, gt=0, le=10_000)
    max_retries: int = Field(default=5, ge=0, le=50)
    max_streams: int = Field(default=250, ge=0, le=10_000)
    verify: _FlagOrPath = True
    proxy: str | None = Field(default=None, repr=False)
    run_url: str | None = None
    resume_body: dict[str, Any] = DEFAULT_RESUME_BODY
    webhook_secret: tuple[SecretStr, ...] = Field(default=(), repr=False)

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str, info: ValidationInfo) -> str:
        parts = _split(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or not _is_usable(value):
            raise ValueError(f"should be a URL such as {DEFAULT_BASE_URL}")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("should hold no user, password, query or fragment; the token is the password field")
        if parts.scheme == "http" and not _is_loopback(parts.hostname) and not info.data.get("allow_http"):
            raise ValueError(
                f"is plain http to {parts.hostname}: the token would travel in clear. Use https, or set "
                "allow_http to true in the connection's extra where the network itself is safe"
            )
        # Whoever copies it from the reference has the version with it, which each path here begins with.
        return value.rstrip("/").removesuffix("/v1")

    @field_validator("token")
    @classmethod
    def _check_token(cls, value: SecretStr) -> SecretStr:
        token = value.get_secret_value()
        if not token:
            raise ValueError("is missing: put the API token into the connection's password field")
        if not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError("holds characters that no API token has, perhaps a line break from copying")
        return value

    @field_validator("verify")
    @classmethod
    def _check_verify(cls, value: bool | str) -> bool | str:
        if isinstance(value, str) and not Path(value).is_file():
            raise ValueError("should be true, false, or the path of a CA bundle that exists on this machine")
        return value

    @field_validator("proxy")
    @classmethod
    def _check_proxy(cls, value: str | None) -> str | None:
        if value and (_split(value).scheme not in ("http", "https", "socks5", "socks5h") or not _is_usable(value)):
            raise ValueError("should be a URL such as http://proxy.example.com:3128")
        return value

    @field_validator("run_url")
    @classmethod
    def _check_run_url(cls, value: str | None) -> str | None:
        if value and not _is_page(value):
            raise ValueError("should be an http or https URL that contains {run_id} behind its host")
        return value

    @field_validator("resume_body", mode="before")
    @classmethod
    def _check_resume_body(cls, value: Any) -> Any:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                raise ValueError("should be a JSON object") from None
        text = json.dumps(value)
        if not isinstance(value, dict) or "{interrupt_id}" not in text or "{input}" not in text:
            raise ValueError('should be a JSON object in which "{interrupt_id}" and "{input}" occur')
        return value

    @field_validator("webhook_secret", mode="before")
    @classmethod
    def _check_webhook_secret(cls, value: Any) -> tuple[str, ...]:
        return webhook_secrets(value)

    @classmethod
    def from_parts(
        cls,
        *,
        host: str | None = None,
        port: int | None = None,
        schema: str | None = None,
        password: str | None = None,
        extra: Mapping[str, Any] | None = None,
        name: str = "the connection",
    ) -> Settings:
        """
        Check the parts of an Airflow connection.

        :param host: A URL or a bare host, which means https.
        :param schema: ``http`` or ``https``, for a bare host.
        :param extra: The connection's extra; what is empty in it counts as not given.
        :param name: What the connection is called in an error.
        :raises AgentRunsConfigError: Naming the connection, each field that is wrong, and what would be right.
        """
        given = {key: value for key, value in (extra or {}).items() if value not in (None, "")}
        if unknown := sorted(given.keys() - _EXTRA_FIELDS):
            log.warning("%s has extra fields that mean nothing here: %s", name, ", ".join(unknown))
        fields = {key: value for key, value in given.items() if key in _EXTRA_FIELDS}
        try:
            return cls(base_url=_base_url(host, port, schema), token=(password or "").strip(), **fields)
        except ValidationError as e:
            problems = "; ".join(
                f"{_FIELD_NAMES.get(str(error['loc'][0]), error['loc'][0])} "
                f"{error['msg'].removeprefix('Value error, ')}"
                for error in e.errors(include_input=False, include_url=False)
            )
            raise AgentRunsConfigError(f"{name} cannot be used: {problems}") from None

    @cached_property
    def account(self) -> str:
        """What tells one account from another, without giving the token away."""
        digest = hashlib.sha256(self.token.get_secret_value().encode()).hexdigest()
        return f"{self.base_url}#{digest[:16]}"

    def redact(self, text: str) -> str:
        """Take the token out of a text."""
        return text.replace(self.token.get_secret_value(), "***")

    def run_page(self, run_id: str) -> str:
        """Return the URL of a run's page, or an empty string where the connection names none."""
        return self.run_url.replace("{run_id}", quote(run_id, safe="")) if self.run_url else ""


_EXTRA_FIELDS = Settings.model_fields.keys() - {"base_url", "token"}
_FIELD_NAMES = {"base_url": "Base URL (host)", "token": "API token (password)"} | {
    name: f"{name} (extra)" for name in _EXTRA_FIELDS
}


def _base_url(host: str | None, port: int | None, schema: str | None) -> str:
    host = (host or "").strip()
    if not host:
        # Airflow's own check of a connection URI lets an empty host pass.
        return DEFAULT_BASE_URL
    if _is_ipv6(host):
        # As it comes from a URI: without the brackets.
        host = f"[{host}]"
    url = host if "://" in host else f"{schema or 'https'}://{host}"
    try:
        parts = urlsplit(url)
    except ValueError:
        return url  # Refused with all else that is wrong.
    if port and ":" not in parts.netloc.rpartition("]")[2]:
        parts = parts._replace(netloc=f"{parts.netloc}:{port}")
    return urlunsplit(parts)


def _split(url: str) -> SplitResult:
    """Split a URL into its parts, which are empty where it is none."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _is_page(url: str) -> bool:
    """Whether a template of a page's URL leads to one host by http or https, whatever id is put into it."""
    parts = _split(url)
    # urlsplit takes line breaks out before it looks, and browsers take a backslash for a slash.
    odd = not url.isprintable() or " " in url or "\\" in url
    to_a_host = parts.scheme in ("http", "https") and bool(parts.hostname) and "{run_id}" not in parts.netloc
    return to_a_host and not odd and "{run_id}" in url


def _is_usable(url: str) -> bool:
    """Whether the HTTP client, which is stricter, takes a URL; it would refuse it only once it is used."""
    import httpx

    try:
        return bool(httpx.URL(url).host) and urlsplit(url).port != 0
    except (httpx.InvalidURL, ValueError):
        return False


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


def _flag(value: Any) -> Any:
    """Read ``"true"`` and ``"false"`` as in a URI; another text is a path."""
    return {"true": True, "false": False}.get(value.strip().lower(), value) if isinstance(value, str) else value
