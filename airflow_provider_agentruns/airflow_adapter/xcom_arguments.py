# SPDX-License-Identifier: Apache-2.0
"""Keeps arguments of mapped tasks that come from XCom out of Airflow's template rendering."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.template import literal

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context


def make_xcom_arguments_literal(task: BaseOperator, names: Collection[str], context: Context) -> None:
    """
    Wrap the arguments of a mapped task that come from XCom in literals, which Airflow does not render.

    Airflow itself renders what ``expand_kwargs`` gets from XCom. A text that an agent wrote, such as
    ``{{ conn.agentruns_default.password }}``, would turn into the token.

    :param task: The task after the mapping was applied, before its templates are rendered.
    :param names: The arguments that are rendered sooner or later, each also the name of an attribute.
    """
    mapped = _mapped_operator(task)
    if mapped is None:
        return
    # A decorated task maps the arguments of its function instead of its own.
    function_arguments = getattr(mapped, "op_kwargs_expand_input", None)
    if function_arguments is not None:
        partial = mapped.partial_kwargs["op_kwargs"]
        is_from_xcom = _origin(function_arguments.value, partial, context)
        decorated: Any = task
        decorated.op_kwargs = {
            name: _literal(value) if is_from_xcom(name, value) else value for name, value in decorated.op_kwargs.items()
        }
        return
    is_from_xcom = _origin(mapped.expand_input.value, mapped.partial_kwargs, context)
    for name in names:
        if is_from_xcom(name, value := getattr(task, name)):
            setattr(task, name, _literal(value))


def _mapped_operator(task: BaseOperator) -> Any:
    """Return the mapped operator that a task was made from, or None for a task that is not mapped."""
    # Rendering without a DAG happens in unit tests of DAG authors.
    dag = task.get_dag()
    operator = dag.task_dict.get(task.task_id) if dag else None
    return operator if operator is not None and operator.is_mapped else None


def _origin(mapped: Any, partial: Mapping[str, Any], context: Context) -> Callable[[str, Any], bool]:
    """
    Return a function that says whether an argument with this name and value comes from XCom.

    :param mapped: What was passed to ``expand`` (a mapping) or to ``expand_kwargs`` (anything else).
    """
    if isinstance(mapped, Mapping):
        from_xcom = {name for name, values in mapped.items() if not isinstance(values, Mapping | Sequence)}
        return lambda name, _: name in from_xcom
    own = mapped[context["ti"].map_index or 0] if isinstance(mapped, Sequence) else mapped
    if isinstance(own, Mapping):
        # The author wrote these arguments into the DAG file.
        return lambda _, __: False
    return lambda name, value: value is not partial.get(name)


def _literal(value: Any) -> Any:
    # None means "not given" to operators. What Airflow resolves already is not rendered afterward.
    return value if value is None or hasattr(value, "resolve") else literal(value)
