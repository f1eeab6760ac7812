# SPDX-License-Identifier: Apache-2.0
"""Keeps the rate limit of an account in Redis, for all machines. A script makes each step one atomic round trip."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_agentruns.client import request_queue
from airflow_provider_agentruns.client.file_store import FileStore
from airflow_provider_agentruns.client.request_queue import Priority, Ticket
from airflow_provider_agentruns.exceptions import AgentRunsConfigError
from airflow_provider_agentruns.text import single_line

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError:
    raise AgentRunsConfigError(
        "rate_limit_store (extra) needs another package: pip install 'airflow-provider-agentruns[redis]'"
    ) from None

log = logging.getLogger(__name__)

#: Seconds to wait for Redis: to connect, and for each reply.
_TIMEOUT = 1.0
#: Seconds without Redis after a failure.
_RETRY_AFTER = 10.0
#: The share of the rate that each machine uses without Redis.
_SHARE_WITHOUT = 0.25
#: A 429 reduces the rate by little, because it is rare: a request was late, or another client uses the account.
_REDUCTION = 0.8

_SCRIPT = Path(__file__).with_name("rate_limit.lua").read_text(encoding="utf-8")

# ``keep``: seconds for which Redis keeps an unused state.
_SHARED = ("CYCLE", "MARGIN", "TOLERANCE", "RECOVERY", "RECOVERY_BASE", "LOWEST_SHARE")
_CONSTANTS = {**{name.lower(): getattr(request_queue, name) for name in _SHARED}, "keep": 3600}


class RedisStore:
    """A store in Redis. While Redis fails, each machine uses a quarter of the rate and its own file."""

    def __init__(self, account: str, url: str, redact: Callable[[str], str]) -> None:
        self.problem: str | None = None
        self._key = f"agentruns:rate:{hashlib.sha256(account.encode()).hexdigest()[:32]}"
        self._server = urlsplit(url).hostname
        self._redact = redact
        # The second attempt is for connections that the server has closed. The client itself handles forks.
        retry = Retry(NoBackoff(), 1, (redis.ConnectionError,))
        client = redis.Redis.from_url(
            url, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT, retry=retry, protocol=2
        )
        self._pool = client.connection_pool
        self._script = client.register_script(_SCRIPT)
        self._file = FileStore(account)
        self._retry_at = 0.0

    def reserve(self, rate: float, priority: Priority, max_delay: float) -> tuple[Ticket, float]:
        reply = self._run(rate=rate, queue=priority.value, max_delay=min(max_delay, 1e9))
        if reply is None:
            return self._file.reserve(rate * _SHARE_WITHOUT, priority, max_delay)
        number, epoch, delay = reply
        return Ticket(priority, number, float(epoch)), float(delay)

    def delay(self, rate: float, ticket: Ticket) -> float | None:
        reply = self._run(rate=rate, queue=ticket.priority.value, number=ticket.number, epoch=ticket.epoch)
        if reply is None:
            return self._file.delay(rate * _SHARE_WITHOUT, ticket)
        return float(reply[2]) if reply else None

    def block(self, rate: float, seconds: float) -> None:
        if self._run(rate=rate, block=seconds, reduction=_REDUCTION) is None:
            self._file.block(rate * _SHARE_WITHOUT, seconds)

    def _run(self, **arguments: Any) -> list[Any] | None:
        """Run the script and return its reply; None while Redis fails."""
        if self.problem and time.monotonic() < self._retry_at:
            return None
        # One caller tries again. The others do not wait for it.
        self._retry_at = time.monotonic() + _RETRY_AFTER
        try:
            reply: list[Any] = self._script(keys=[self._key], args=[json.dumps({**_CONSTANTS, **arguments})])
        except (redis.RedisError, OSError) as e:
            problem = f"rate_limit_store {self._server} cannot be used: {single_line(self._redact(str(e))).rstrip('.')}"
            if not self.problem:
                log.warning("%s. This machine uses a quarter of the rate limit until the server works again", problem)
            self.problem = problem
            # After a failover, an open connection leads to the earlier primary, which rejects the script from then on.
            self._pool.disconnect(inuse_connections=False)
            return None
        if self.problem:
            self.problem = None
            log.info("rate_limit_store %s can be used again", self._server)
        return reply
