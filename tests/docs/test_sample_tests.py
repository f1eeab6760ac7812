# SPDX-License-Identifier: Apache-2.0
"""The tests that the documentation shows to DAG authors pass."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import blocks


@pytest.mark.full
def test_the_sample_tests_pass(airflow_home: Path, tmp_path: Path) -> None:
    [my_dag] = [block for block in blocks("dag") if block.text.rstrip().count(" as my_dag:")]
    [settings] = [block for block in blocks("ini") if block.text.startswith("[pytest]")]
    samples = blocks("sample test")
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "my_dag.py").write_text(my_dag.text)
    (tmp_path / "pytest.ini").write_text(settings.text)
    for number, sample in enumerate(samples):
        (tmp_path / f"test_sample_{number}.py").write_text(f"# {sample}\n{sample.text}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--strict-markers", "-q"],
        env={**os.environ, "AIRFLOW__CORE__DAGS_FOLDER": str(dags)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, "\n".join(line[:300] for line in done.stdout.splitlines()[-80:])
    tests = sum(len(re.findall(r"^def test_", sample.text, re.MULTILINE)) for sample in samples)
    assert tests >= 4
    assert f"{tests} passed" in done.stdout
