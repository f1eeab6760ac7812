# SPDX-License-Identifier: Apache-2.0
"""Pages follow Airflow's permissions, and no browser gets the token."""

from __future__ import annotations

import httpx
import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.plugins.instances import CONNECTION, Instances
from tests.plugins.rights import NO_XCOM
from tests.plugins.served import ServedAirflow, task_path
from tests.support import BUSINESS

TASK_PAGE = "/agent-runs/task?dag_id=sales_review&run_id=r&task_id=t&map_index=-1"


@pytest.mark.parametrize("path", ["/agent-runs/api/waiting", str(task_path("sales_review", "r", "t"))])
def test_data_requires_a_login(served: ServedAirflow, path: str) -> None:
    with served.browser() as nobody:
        assert nobody.get(path).status_code == 401


def test_without_access_to_the_dag_there_is_neither_page_nor_data(
    served: ServedAirflow, instances: Instances, service: Emulator
) -> None:
    run = service.service.create_run("instant", business_id=BUSINESS)
    place = instances.task("sales_review", rendered={"agentruns_conn_id": CONNECTION, "run_id": run.id})
    with served.log_in("reads_sales") as allowed, served.log_in("reads_legal") as other:
        assert allowed.get(task_path(*place)).json()["run"]["id"] == run.id
        refused = other.get(task_path(*place))
        assert refused.status_code == 403
        assert run.id not in refused.text
        page = other.get(TASK_PAGE)
        assert page.status_code == 403
        assert "You do not have access to this page" in page.text
        assert allowed.get(TASK_PAGE).status_code == 200
        # Another DAG in the query grants no access.
        assert other.get(task_path(*place).copy_add_param("dag_id", "legal_review")).status_code == 403
        # "~" means all DAGs in Airflow's own API.
        assert other.get(task_path("~", *place[1:])).status_code == 404


def test_without_access_to_xcom_there_is_no_data(served: ServedAirflow, instances: Instances) -> None:
    place = instances.task("sales_review", rendered={"agentruns_conn_id": CONNECTION, "run_id": "r-1"})
    with served.log_in(NO_XCOM) as somebody:
        assert somebody.get(task_path(*place)).status_code == 403
        assert somebody.get("/agent-runs/api/waiting").status_code == 403


def test_the_overview_holds_only_dags_that_the_user_may_read(served: ServedAirflow, instances: Instances) -> None:
    for dag_id in ("sales_review", "legal_review"):
        instances.task(dag_id, rendered={"agentruns_conn_id": CONNECTION, "run_id": f"run-of-{dag_id}"})
    with served.log_in("reads_sales") as sales, served.log_in("reads_everything_else") as other:
        shown = sales.get("/agent-runs/api/waiting").json()
        assert {row["dag_id"] for row in shown["rows"]} == {"sales_review"}
        assert shown["dag_ids"] == ["sales_review"]
        assert sales.get("/agent-runs/api/waiting", params={"dag_id": "legal_review"}).status_code == 403
        assert other.get("/agent-runs/api/waiting").json()["rows"] == []


def test_a_browser_gets_no_token_and_chooses_no_connection(
    reader: httpx.Client, instances: Instances, service: Emulator
) -> None:
    run = service.service.create_run("instant", business_id=BUSINESS)
    place = instances.task("sales_review", rendered={"agentruns_conn_id": CONNECTION, "run_id": run.id})
    path = task_path(*place)
    for requested in (path, path.copy_merge_params({"agentruns_conn_id": "another", "conn_id": "another"})):
        answer = reader.get(requested)
        assert answer.json()["run"]["id"] == run.id
        assert service.token not in answer.text
        assert CONNECTION not in answer.text


@pytest.mark.parametrize(
    "path", ["/agent-runs/", TASK_PAGE, "/agent-runs/api/waiting", "/agent-runs/static/page.js", "/agent-runs/nothing"]
)
def test_every_response_has_security_headers(reader: httpx.Client, path: str) -> None:
    headers = reader.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'self'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] in ("no-store", "no-cache")
