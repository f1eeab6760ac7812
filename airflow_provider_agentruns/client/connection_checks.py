# SPDX-License-Identifier: Apache-2.0
"""Checks the fields of a connection. Each check returns the value to use, or raises a ValueError with a valid one."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationInfo

if TYPE_CHECKING:
    import httpx

DEFAULT_BASE_URL = "https://api.middesk.com"
#: In characters. Shorter secrets can be guessed.
_SHORTEST_SECRET = 8
#: What the query of a ``rediss`` URL may contain.
_TLS_OPTIONS = ("ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def check_base_url(value: str, info: ValidationInfo) -> str:
    url = parse_url(value, "http", "https")
    if url is None:
        raise ValueError(f"should be a URL such as {DEFAULT_BASE_URL}")
    if url.userinfo or url.query or url.fragment:
        raise ValueError("should not contain a user, password, query, or fragment: the token has its own field")
    ip = parse_ip(url.host)
    loopback = ip.is_loopback if ip else url.host.rstrip(".") == "localhost"
    if url.scheme == "http" and not loopback and not info.data.get("allow_http"):
        raise ValueError(
            f"is plain http to {url.host}: the token would travel in clear text. Use https, or set allow_http to true "
            "in the connection's extra if the network itself is safe"
        )
    # A URL copied from the reference ends with the version, which each path here begins with.
    return value.rstrip("/").removesuffix("/v1")


def check_token(value: SecretStr) -> SecretStr:
    token = value.get_secret_value()
    if not token:
        raise ValueError("is missing. Put the API token into the connection's password field")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("contains an invalid character, such as a space or a line break. Copy the token again")
    return value


def check_verify(value: bool | str) -> bool | str:
    if isinstance(value, str) and not os.path.isfile(value):  # noqa: PTH113 -- a path may be too long for Path
        raise ValueError("should be true, false, or the path of a CA bundle that exists on this machine")
    return value


def check_proxy(value: str) -> str:
    url = parse_url(value, "http", "https", "socks5", "socks5h")
    if not url:
        raise ValueError("should be a URL such as http://proxy.example.com:3128")
    if url.scheme.startswith("socks") and not find_spec("socksio"):
        raise ValueError("is a SOCKS proxy: install airflow-provider-agentruns[socks], or use an HTTP proxy")
    return value


def check_rate_limit_store(value: str) -> str:
    url = parse_url(value, "redis", "rediss")
    if not url or url.fragment or not re.fullmatch(r"/?\d*", url.path):
        raise ValueError("should be a URL such as redis://:PASSWORD@redis.example.com:6379/0")
    if not set(url.params) <= set(_TLS_OPTIONS if url.scheme == "rediss" else ()):
        raise ValueError(f"should have no query except, with rediss, {', '.join(_TLS_OPTIONS)}")
    return value


def check_run_url(value: str) -> str:
    # Whatever the ID, the URL must lead to one host. Browsers treat a backslash as a slash.
    urls = [parse_url(value.replace("{run_id}", run_id), "http", "https") for run_id in ("1", "2")]
    hosts = {url and (url.userinfo, url.netloc) for url in urls}
    if "{run_id}" not in value or "\\" in value or None in hosts or len(hosts) > 1:
        raise ValueError("should be an http or https URL that contains {run_id} after the host")
    return value


def check_audit_path(value: str) -> str:
    if not (value.isprintable() and re.match(r"/|[a-z][a-z0-9+]*://.", value)):
        raise ValueError("should be an absolute path, or a URL such as s3://my_conn@bucket/reviews")
    return value


def check_resume_body(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError("should be a JSON object") from None
    text = json.dumps(value)
    if not isinstance(value, dict) or "{interrupt_id}" not in text or "{input}" not in text:
        raise ValueError('should be a JSON object that contains "{interrupt_id}" and "{input}"')
    return value


def webhook_secrets(value: Any) -> tuple[str, ...]:
    """Return the secrets of a list, or of a text with spaces between them. The ValueError contains no secret."""
    secrets = value.split() if isinstance(value, str) else value
    if not isinstance(secrets, list) or not all(
        isinstance(secret, str) and len(secret) >= _SHORTEST_SECRET for secret in secrets
    ):
        raise ValueError(f"should be a secret of at least {_SHORTEST_SECRET} characters, or a list of such secrets")
    return tuple(secrets)


def parse_url(value: str, *schemes: str) -> httpx.URL | None:
    """Return a URL with a host and one of these schemes; None for anything else."""
    import httpx

    try:
        urlsplit(value)
        url = httpx.URL(value)
        usable = url.host and 0 < (url.port or 80) < 65_536 and value.isprintable() and " " not in value
    except (httpx.InvalidURL, ValueError):
        return None
    return url if usable and url.scheme in schemes else None


def parse_ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
