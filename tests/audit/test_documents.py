# SPDX-License-Identifier: Apache-2.0
"""Each decision has one document, which is complete, stays in its folder, and is listed."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_agentruns.audit.__main__ import main
from airflow_provider_agentruns.audit.trail import open_folder, write_document
from airflow_provider_agentruns.exceptions import AgentRunsError

TRAIL: dict[str, Any] = {
    "run_id": "r-1",
    "interrupt_id": "int-1",
    "chosen_options": ["Approve"],
    "params_input": {"why": "Fits"},
    "responded_by": {"id": "ann", "name": "Ann"},
    "responded_at": "2026-03-01T09:30:00+00:00",
    "question": "5e1f",
    "by": "person",
    "sent": {"decision": "approve"},
    "delivery": "confirmed",
    "status": "running",
}


def write(folder: Path, *, try_number: int = 1, task_id: str = "review", **trail: Any) -> Path:
    ti = SimpleNamespace(dag_id="d", run_id="manual", task_id=task_id, map_index=-1, try_number=try_number)
    path = write_document(open_folder(f"file://{folder}", create=True), {**TRAIL, **trail}, ti)
    return Path(path.removeprefix("file://"))


def test_a_later_try_keeps_the_document_of_an_earlier_one(tmp_path: Path) -> None:
    path = write(tmp_path)
    first = path.read_bytes()
    assert write(tmp_path, try_number=2, delivery="presumed", status="completed") == path
    assert write(tmp_path, try_number=3, responded_at="2026-03-01T10:30:00+01:00") == path
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [first]


@pytest.mark.parametrize(
    "other",
    [{"question": "another"}, {"chosen_options": ["Reject"]}, {"by": "policy"}, {"task_id": "b"}],
)
def test_another_decision_has_its_own_document(tmp_path: Path, other: dict[str, Any]) -> None:
    assert write(tmp_path) != write(tmp_path, **other)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_document_that_a_worker_wrote_in_part_is_written_again(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(path.read_bytes()[:50])
    assert write(tmp_path, try_number=2) == path
    assert json.loads(path.read_text())["try_number"] == 2


@pytest.mark.parametrize("hostile", ["../../etc/cron.d/x", "/etc/passwd", "a\x00b\n\x1b[31m", "..", "ü" * 500])
def test_an_id_does_not_lead_out_of_the_folder(tmp_path: Path, hostile: str) -> None:
    folder = tmp_path / "audit"
    path = write(folder, run_id=hostile, interrupt_id=hostile)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]
    assert path.parent == folder
    assert path.name.isascii()
    assert path.name.isprintable()


def test_a_document_of_another_review_is_not_replaced(tmp_path: Path) -> None:
    path = write(tmp_path)
    content = json.dumps({**json.loads(path.read_text()), "id": "other"})
    path.write_text(content)
    with pytest.raises(AgentRunsError, match="contains another review"):
        write(tmp_path)
    assert path.read_text() == content


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[Any]:
    assert main([*arguments, "--format", "json"]) == 0
    documents: list[Any] = json.loads(capsys.readouterr().out)
    return documents


def test_the_command_lists_decisions_since_a_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    times = ["2026-02-28T23:59:00-05:00", "2026-03-01T04:58:00+00:00", "2025-12-31T00:00:00Z", "2026-03-02T00:00:00Z"]
    for number, time in enumerate(times):
        write(tmp_path, run_id=f"r-{number}", responded_at=time)
    (tmp_path / "notes.txt").touch()
    path = ("--path", str(tmp_path))
    assert [it["run_id"] for it in listed(capsys, *path)] == ["r-2", "r-0", "r-1", "r-3"]
    assert [it["run_id"] for it in listed(capsys, *path, "--since", "2026-03-01T04:59:00")] == ["r-0", "r-3"]
    assert [it["run_id"] for it in listed(capsys, *path, "--since", "2026-03-02")] == ["r-3"]


def test_csv_has_no_formulas_and_no_control_characters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, label='=HYPERLINK("http://evil.example.com")', agent="@x\n\x1b[31m", rating=-1)
    assert main(["--path", str(tmp_path)]) == 0
    [row] = csv.DictReader(capsys.readouterr().out.splitlines())
    assert (row["label"][:2], row["agent"], row["rating"]) == ("'=", r"'@x\n\x1b[31m", "-1")
    assert (row["run_id"], json.loads(row["sent"])) == ("r-1", TRAIL["sent"])


def test_the_command_reads_the_folder_from_a_connection(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    connection = {"conn_type": "agentruns", "password": "t0ken", "extra": {"audit_path": str(tmp_path)}}
    monkeypatch.setenv("AIRFLOW_CONN_AUDITED", json.dumps(connection))
    assert [it["run_id"] for it in listed(capsys, "--conn-id", "audited")] == ["r-1"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--conn-id", "missing"], "Airflow has no connection 'missing'"),
        (["--conn-id", "unaudited"], "Connection 'unaudited' has no audit_path"),
        (["--path", "/nowhere"], "/nowhere does not exist"),
        (["--path", "unknown://x"], "cannot use unknown://x"),
    ],
)
def test_the_command_names_the_mistake(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_UNAUDITED", "agentruns://:t0ken@")
    assert main(arguments) == 1
    out, errors = capsys.readouterr()
    assert out == ""
    assert says in errors


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 2}', '{"format": 1, "id": "x", "responded_at": 5}'])
def test_the_command_reports_files_that_are_not_documents(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    write(tmp_path)
    (tmp_path / "2026-03-02.broken.json").write_text(content)
    assert main(["--path", str(tmp_path), "--format", "json"]) == 1
    out, errors = capsys.readouterr()
    assert [it["run_id"] for it in json.loads(out)] == ["r-1"]
    assert "2026-03-02.broken.json cannot be read" in errors
