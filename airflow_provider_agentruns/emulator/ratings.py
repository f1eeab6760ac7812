# SPDX-License-Identifier: Apache-2.0
"""Ratings of artifacts by people."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_agentruns.emulator.ids import Ids, timestamp
from airflow_provider_agentruns.emulator.problems import Unprocessable
from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.scripts import Json


class Ratings:
    """
    All ratings, oldest first.

    :param reviewer_id: The account that they count as given by.
    """

    def __init__(self, ids: Ids, reviewer_id: str) -> None:
        self.all: list[Json] = []
        self._ids = ids
        self._reviewer_id = reviewer_id
        self._rated: set[tuple[str, str]] = set()

    def rate(self, run: Run, artifact_id: str, rating: str, comment: str | None, now: datetime) -> Json:
        """
        Record a rating, and return it as the service shows it.

        :raises Unprocessable: If the run has no such artifact.
        """
        artifact_id = artifact_id.lower()
        if artifact_id not in run.known_artifacts:
            raise Unprocessable(f"Run {run.id} has no artifact {artifact_id}", "artifact_id")
        recorded: Json = {
            "object": "feedback",
            "id": self._ids.uuid("feedback", len(self.all)),
            "run_id": run.id,
            "rating": rating,
            "artifact_id": artifact_id,
            "comment": comment,
            "reviewer": {"type": "Account", "id": self._reviewer_id},
            "superseded_prior": (run.id, artifact_id) in self._rated,
            "created_at": timestamp(now),
        }
        self._rated.add((run.id, artifact_id))
        self.all.append(recorded)
        return recorded
