# SPDX-License-Identifier: Apache-2.0
"""Reads XCom values from Airflow's database through the XCom backend. The API server has no public function for it."""

from __future__ import annotations

import json
import logging
import time
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.execution_time.xcom import resolve_xcom_backend

log = logging.getLogger(__name__)

#: A read that fails after ``SLOW`` seconds stops all reads for ``PAUSE`` seconds, because each occupies a thread.
SLOW, PAUSE = 2.0, 30.0


def read_stored(value: Any, written_at: datetime | None) -> Any:
    """
    Return an XCom value, or None if the XCom backend cannot read it.

    Only text of a custom backend is passed to Airflow's decoder, which creates objects of any class that a value names.

    :param value: The value in Airflow's database: JSON, text that contains JSON, or a backend's reference.
    :param written_at: Distinguishes values that a backend writes to the same place.
    """
    backend = resolve_xcom_backend()  # type: ignore[no-untyped-call]
    if isinstance(value, str) and backend is not BaseXCom:
        try:
            value = _from_backend(backend, value, written_at)
        except Exception as e:  # noqa: BLE001 -- a backend may raise anything
            # Its message may contain credentials.
            log.warning("The XCom backend cannot read a value: %s", type(e).__name__)
            return None
    if isinstance(value, str) and value[:1] in ('"', "{"):
        # XComModel.set stores text that contains JSON.
        with suppress(ValueError):
            return json.loads(value)
    return value


class _Outage:
    ends_at = 0.0


@lru_cache(maxsize=500)
def _from_backend(backend: type[BaseXCom], value: str, written_at: datetime | None) -> Any:
    """Read a value from the backend once, because pages refresh every few seconds."""
    began = time.monotonic()
    if began < _Outage.ends_at:
        raise TimeoutError
    try:
        return backend.deserialize_value(SimpleNamespace(value=value))
    except Exception:
        if time.monotonic() - began > SLOW:
            _Outage.ends_at = time.monotonic() + PAUSE
        raise
