# SPDX-License-Identifier: Apache-2.0
"""Airflow's Test button, which posts an empty port as 0 and compares it with the stored port."""

from __future__ import annotations

import json

import pytest
from airflow.models.connection import Connection
from airflow.utils.session import create_session

from airflow_provider_agentruns.emulator.server import Emulator
from tests.plugins.served import ServedAirflow
from tests.support.airflow_versions import needs_state_store


@needs_state_store  # Earlier versions do not compare the port.
@pytest.mark.parametrize("has_port", [False, True])
def test_the_button_works_for_a_connection_with_a_port(
    served: ServedAirflow, service: Emulator, monkeypatch: pytest.MonkeyPatch, has_port: bool
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__TEST_CONNECTION", "Enabled")
    host, port = ("http://127.0.0.1", service.port) if has_port else (service.url, None)
    extra = json.dumps({"rate_limit": 200})
    with create_session() as session:
        session.add(Connection("button", "agentruns", host=host, password=service.token, port=port, extra=extra))
    try:
        with served.log_in("admin", "ADMIN") as browser:
            fields = {"connection_id": "button", "conn_type": "agentruns", "host": host, "extra": extra}
            # As the list of connections in Airflow's UI does.
            body = {**fields, "port": port or 0, "password": "***", "login": "", "schema": "", "description": ""}
            response = browser.post("/api/v2/connections/test", json=body)
    finally:
        with create_session() as session:
            session.query(Connection).filter(Connection.conn_id == "button").delete()
    if has_port:
        assert response.json()["status"] is True, response.text
        assert "accepts the token" in response.json()["message"]
    else:
        # If Airflow accepts it, remove the hint about the port from the how-to guide and the form.
        assert response.status_code == 400
        assert "host or port to test differs" in response.text
