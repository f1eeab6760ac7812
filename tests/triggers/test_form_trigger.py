# SPDX-License-Identifier: Apache-2.0
"""
The trigger that looks up an answer gets to the triggerer and back as it was made.

What it finds there takes a triggerer that can ask for it: that is tried on a whole Airflow, in
``tests/standalone/test_review_faults.py``, with workers that die before and after an answer.
"""

from __future__ import annotations

from uuid import uuid4

import pytest
from airflow.models.trigger import Trigger
from airflow.sdk.module_loading import import_string

from airflow_provider_agentruns.triggers.form import FormAnswerTrigger
from tests.support.airflow_names import deserialize, serialize

TI_ID = str(uuid4())


def test_it_is_made_again_from_what_it_says_of_itself() -> None:
    path, arguments = FormAnswerTrigger(TI_ID).serialize()
    again = import_string(path)(**arguments)
    assert type(again) is FormAnswerTrigger
    assert again.ti_id == TI_ID
    assert again.serialize() == (path, arguments)


def test_airflow_stores_it_and_makes_it_again() -> None:
    stored = Trigger.from_object(FormAnswerTrigger(TI_ID))
    assert stored.classpath == "airflow_provider_agentruns.triggers.form.FormAnswerTrigger"
    assert stored.kwargs == {"ti_id": TI_ID}


def test_its_arguments_are_json_as_they_are() -> None:
    _, arguments = FormAnswerTrigger(TI_ID).serialize()
    assert serialize(arguments["ti_id"]) == TI_ID
    assert deserialize(serialize(arguments)) == arguments


def test_the_id_has_to_be_given() -> None:
    with pytest.raises(TypeError, match="ti_id"):
        FormAnswerTrigger()  # type: ignore[call-arg]
