# SPDX-License-Identifier: Apache-2.0
"""Files that appear when the test says so, for Airflow's own sensor to wait for."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from tests.scale.runs import ENDS_PER_SECOND


class Files:
    """Files that are not there yet, in a folder of their own, which is made."""

    def __init__(self, folder: Path, count: int) -> None:
        folder.mkdir()
        self.names = [str(folder / str(number)) for number in range(count)]

    def end(self, numbers: Iterable[int]) -> None:
        """Let some appear, one after the other."""
        for number in numbers:
            Path(self.names[number]).touch()
            time.sleep(1 / ENDS_PER_SECOND)
