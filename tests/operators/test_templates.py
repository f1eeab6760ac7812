# SPDX-License-Identifier: Apache-2.0
"""Templates of a DAG's author are rendered; values from XCom are not, in any operator and any argument."""

from __future__ import annotations

import json

import pytest

from tests.support.dag_runs import DagRunner

HOSTILE = "{{ conn.agentruns_default.password }}"
TOKEN = "mk_test_secret_token"

#: Each operator, with ``execute`` replaced by a function that returns the rendered arguments.
OPERATORS = """
import json
from airflow.providers.common.compat.sdk import AirflowSkipException

AUTHOR = "{{ 'auth' }}or"

def from_xcom(name, value):
    @task(task_id=name)
    def give():
        return value
    return give()

def shown(self, context):
    late = {"build_input": self.render_template(self.build_input, context)} if hasattr(self, "build_input") else {}
    return {**{name: getattr(self, name) for name in self.template_fields}, **late}

class Start(AgentRunOperator):
    execute = shown

class Output(AgentRunOutputOperator):
    execute = shown

class Resume(AgentRunResumeOperator):
    execute = shown

class Review(AgentRunReviewOperator):
    execute = shown

class Sensor(AgentRunSensor):
    execute = shown

NAMES = {
    Start: ["agent", "business_id", "context_type", "context_id", "thread_id", "output_path"],
    Output: ["run_id", "artifact_type", "output_path"],
    Resume: ["run_id", "interrupt_id", "input"],
    Review: ["run_id", "interrupt", "build_input"],
    Sensor: ["run_id"],
}
"""

TASKS = """
dag.default_args["agentruns_conn_id"] = AUTHOR
for kind, names in NAMES.items():
    name = kind.__name__.lower()
    arguments = {argument: f"s3://{H}" if argument == "output_path" else H for argument in names}
    kwargs = from_xcom(f"{name}_values", [arguments])
    kind.partial(task_id=f"{name}_kwargs").expand_kwargs(kwargs)
    lists = {argument: from_xcom(f"{name}_{argument}", [value]) for argument, value in arguments.items()}
    kind.partial(task_id=f"{name}_expand", agentruns_conn_id=AUTHOR).expand(**lists)

direct = from_xcom("direct", [{"text": H}])
Resume(task_id="direct_input", run_id=AUTHOR, interrupt_id="i-1", input=direct)
Resume(task_id="nested", run_id=AUTHOR, interrupt_id="i-1", input={"answers": [direct, AUTHOR]})
Resume.partial(task_id="partial", interrupt_id=AUTHOR, input=direct).expand(run_id=[AUTHOR, "r-2"])
Resume.partial(task_id="listed", run_id=AUTHOR).expand_kwargs(
    [{"interrupt_id": AUTHOR, "input": {"from": direct}}, {"interrupt_id": "i-2", "input": direct}]
)
Resume.partial(task_id="zipped", run_id=AUTHOR, interrupt_id="i-1").expand(input=direct.zip(direct))
Resume.partial(task_id="changed", run_id=AUTHOR).expand_kwargs(
    direct.map(lambda value: {"interrupt_id": "i-1", "input": {"nested": [value]}})
)
direct >> Resume(task_id="pulled", run_id=AUTHOR, interrupt_id="i-1", input="{{ ti.xcom_pull('direct')[0]['text'] }}")

@task.agent_run(agent="instant")
def about(business, other):
    print("called with", json.dumps([business, other]))
    raise AirflowSkipException

about.override(task_id="called_expand").partial(other=AUTHOR).expand(business=from_xcom("businesses", [H]))
kwargs = from_xcom("kwargs", [{"business": {"a": H}}])
about.override(task_id="called_kwargs").partial(other=AUTHOR).expand_kwargs(kwargs)
about.override(task_id="called_plain")(direct, AUTHOR)
"""


def test_values_from_xcom_are_never_rendered(run_dag: DagRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AGENTRUNS_DEFAULT", f"agentruns://:{TOKEN}@127.0.0.1")
    result = run_dag(f"H = {HOSTILE!r}\n{OPERATORS}\n{TASKS}")

    for name in ("start", "output", "resume", "review", "sensor"):
        for how in ("kwargs", "expand"):
            arguments = result.xcom(f"{name}_{how}[0]")
            assert arguments.pop("agentruns_conn_id") == "author"
            # The operator sets it itself.
            assert name != "start" or arguments.pop("run_id") == ""
            assert arguments.pop("output_path", f"s3://{HOSTILE}") == f"s3://{HOSTILE}"
            assert set(arguments.values()) == {HOSTILE}

    value = {"text": HOSTILE}
    inputs = {
        "direct_input": [value],
        "nested": {"answers": [[value], "author"]},
        "partial[0]": [value],
        "partial[1]": [value],
        "listed[0]": {"from": [value]},
        "listed[1]": [value],
        "changed[0]": {"nested": [value]},
        "pulled": HOSTILE,
    }
    for task_id, expected in inputs.items():
        arguments = result.xcom(task_id)
        assert json.dumps(arguments["input"]) == json.dumps(expected), task_id
        assert arguments["run_id"] == ("r-2" if task_id == "partial[1]" else "author")
    assert [result.xcom(name)["interrupt_id"] for name in ("partial[0]", "listed[0]", "listed[1]")] == [
        "author",
        "author",
        "i-2",
    ]

    called = [
        json.loads(line.partition("called with ")[2]) for line in result.log.splitlines() if "called with" in line
    ]
    assert sorted(map(json.dumps, called)) == sorted(
        json.dumps([business, "author"]) for business in (HOSTILE, {"a": HOSTILE}, [value])
    )
