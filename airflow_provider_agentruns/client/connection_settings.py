# SPDX-License-Identifier: Apache-2.0
"""
The settings of a client: the content of an Airflow connection, checked. In a URI, all values are text.

After a change of the fields, run ``python -m tests.support.connection_fields``, which writes the connection form.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Annotated, Any
from urllib.parse import quote, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from airflow_provider_agentruns.client import connection_checks as checks
from airflow_provider_agentruns.client.requests import DEFAULT_RESUME_BODY
from airflow_provider_agentruns.exceptions import AgentRunsConfigError
from airflow_provider_agentruns.text import single_line

log = logging.getLogger(__name__)


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    # Before base_url, whose check reads it.
    allow_http: bool = Field(
        default=False,
        title="Allow plain HTTP",
        description="Send the token in clear text to another machine, and through proxies over plain HTTP.",
    )
    base_url: Annotated[str, AfterValidator(checks.check_base_url)] = checks.DEFAULT_BASE_URL
    token: Annotated[SecretStr, AfterValidator(checks.check_token)]
    timeout: float = Field(default=30.0, gt=0, le=3600, title="Request timeout", description="Seconds for one request.")
    rate_limit: float = Field(
        default=20.0,
        gt=0,
        le=10_000,
        title="Requests per second",
        description="The account's limit. Without a rate limit store, it applies to each machine.",
    )
    rate_limit_store: Annotated[str, AfterValidator(checks.check_rate_limit_store)] | None = Field(
        default=None,
        repr=False,
        title="Rate limit store",
        description="URL of a Redis server, such as rediss://:PASSWORD@redis.example.com:6379/0, through which all "
        "machines share the account's limit.",
        json_schema_extra={"format": "password"},
    )
    max_retries: int = Field(
        default=5, ge=0, le=50, title="Retries", description="Maximum number of retries of a request."
    )
    max_streams: int = Field(
        default=250,
        ge=0,
        le=10_000,
        title="Open streams",
        description='Maximum number of open event streams per triggerer, for tasks with watch="stream".',
    )
    verify: Annotated[bool | str, AfterValidator(checks.check_verify)] = Field(
        default=True,
        # In a URI, true and false are text.
        union_mode="left_to_right",
        title="TLS verification",
        description="true, false, or the path of a CA bundle.",
    )
    proxy: Annotated[str, AfterValidator(checks.check_proxy)] | None = Field(
        default=None,
        repr=False,
        title="Proxy",
        description="URL of a proxy. Requests over plain HTTP use it only if Allow plain HTTP is set.",
    )
    run_url: Annotated[str, AfterValidator(checks.check_run_url)] | None = Field(
        default=None,
        title="Run page",
        description="URL of a run's page that contains {run_id}, for the link in the task view.",
    )
    resume_body: Annotated[dict[str, Any], BeforeValidator(checks.check_resume_body)] = Field(
        default=DEFAULT_RESUME_BODY,
        title="Resume body",
        description="JSON body of an answer, with the placeholders {interrupt_id} and {input}.",
    )
    audit_path: Annotated[str, AfterValidator(checks.check_audit_path)] | None = Field(
        default=None,
        title="Audit folder",
        description="Folder in which each review stores a JSON document with its trail: an absolute path, or a URL "
        "such as s3://my_conn@bucket/reviews.",
    )
    webhook_secret: Annotated[tuple[SecretStr, ...], BeforeValidator(checks.webhook_secrets)] = Field(
        default=(),
        repr=False,
        title="Webhook secret",
        description="The secret with which the service signs webhooks. Without it, Airflow rejects webhooks. To rotate "
        "the secret, enter the new and the old one, separated by a space.",
        json_schema_extra={"format": "password"},
    )

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
        Check the parts of an Airflow connection. Empty values in ``extra`` count as not set.

        :param host: A URL, or a bare host, which means https unless ``schema`` is ``http``.
        :param name: The connection's name in messages.
        :raises AgentRunsConfigError: A field is wrong. The message names it and describes a valid value.
        """
        fields = {key: value for key, value in (extra or {}).items() if value not in (None, "")}
        if unknown := sorted(fields.keys() - _EXTRA_FIELDS):
            log.warning("%s has unknown extra fields: %s", name, single_line(", ".join(unknown)))
        fields |= {"base_url": _base_url(host, port, schema), "token": (password or "").strip()}
        try:
            settings = cls.model_validate(fields)
        except ValidationError as e:
            problems = "; ".join(
                f"{_FIELD_NAMES.get(error['loc'][0], str(error['loc'][0]) + ' (extra)')} "
                f"{error['msg'].removeprefix('Value error, ')}"
                for error in e.errors(include_input=False, include_url=False)
            )
            raise AgentRunsConfigError(f"{name} cannot be used: {problems}") from None
        if settings.verify is False:
            _warn_once(f"{name} does not verify TLS certificates (verify is false): others can read the token")
        if settings.allow_http and settings.base_url.startswith("http:"):
            _warn_once(f"{name} sends the token in clear text (allow_http is true)")
        return settings

    @cached_property
    def proxy_url(self) -> str | None:
        """The connection's proxy, or else the environment's. httpx itself fails on networks in ``NO_PROXY``."""
        url = urlsplit(self.base_url)
        if url.scheme == "http" and not self.allow_http:
            # A proxy would read the token.
            return None
        if self.proxy or proxy_bypass(url.netloc):
            return self.proxy
        for name in (url.scheme, "all"):
            if proxy := getproxies().get(name):
                try:
                    return checks.check_proxy(proxy if "://" in proxy else f"http://{proxy}")
                except ValueError as e:
                    raise AgentRunsConfigError(
                        f"The environment variable {name.upper()}_PROXY {e}. The field proxy of the connection's extra "
                        "takes precedence over it"
                    ) from None
        return None

    @cached_property
    def account(self) -> str:
        """An identifier of the account that does not reveal the token."""
        return f"{self.base_url}#{hashlib.sha256(self.token.get_secret_value().encode()).hexdigest()[:16]}"

    @cached_property
    def secrets(self) -> tuple[str, ...]:
        """All secrets in each form in which a text could contain them, longest first."""
        found = {self.token.get_secret_value(), *(secret.get_secret_value() for secret in self.webhook_secret)}
        for url in (self.proxy or self.proxy_url, self.rate_limit_store):
            password = urlsplit(url or "").password or ""
            decoded = unquote(password)
            found |= {password, decoded, quote(decoded), quote(decoded, safe="")}
        return tuple(sorted(found - {""}, key=len, reverse=True))

    def redact(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text

    def run_page(self, run_id: str) -> str:
        return self.run_url.replace("{run_id}", quote(run_id, safe="")) if self.run_url else ""


_EXTRA_FIELDS = Settings.model_fields.keys() - {"base_url", "token"}
_FIELD_NAMES: dict[int | str, str] = {"base_url": "Base URL (host)", "token": "API token (password)"}


@lru_cache(maxsize=256)
def _warn_once(message: str) -> None:
    log.warning("%s", message)


def _base_url(host: str | None, port: int | None, schema: str | None) -> str:
    host = (host or "").strip()
    if not host:
        # A connection URI may have an empty host.
        return checks.DEFAULT_BASE_URL
    if ":" in host and checks.parse_ip(host):
        # Airflow removes the brackets from a URI.
        host = f"[{host}]"
    url = host if "://" in host else f"{schema or 'https'}://{host}"
    parsed = checks.parse_url(url, "http", "https")
    return str(parsed.copy_with(port=port)) if port and parsed and parsed.port is None else url
