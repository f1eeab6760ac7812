# SPDX-License-Identifier: Apache-2.0
"""Prevents Airflow from rendering arguments of mapped tasks that come from XCom as templates."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.template import literal

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context


def make_xcom_arguments_literal(task: BaseOperator, names: Collection[str], context: Context) -> None:
    """
    Wrap the arguments of a mapped task that come from XCom in literals, which Airflow does not render.

    Airflow renders what ``expand_kwargs`` gets from XCom. An agent's text such as
    ``{{ conn.agentruns_default.password }}`` would become the token.

    :param task: The mapped task instance's task, before its templates are rendered.
    :param names: The template fields, including those that are rendered later.
    """
    mapped = _mapped_operator(task)
    if mapped is None:
        return
    # A decorated task maps the arguments of its function.
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
    """Return the mapped operator of a task, or None if the task is not mapped."""
    # DAG authors' unit tests render tasks without a DAG.
    dag = task.get_dag()
    operator = dag.task_dict.get(task.task_id) if dag else None
    return operator if operator is not None and operator.is_mapped else None


def _origin(mapped: Any, partial: Mapping[str, Any], context: Context) -> Callable[[str, Any], bool]:
    """
    Return a function that returns whether the argument with a name and value comes from XCom.

    :param mapped: The argument of ``expand_kwargs``, or a mapping with the arguments of ``expand``.
    """
    if isinstance(mapped, Mapping):
        from_xcom = {name for name, values in mapped.items() if not isinstance(values, Mapping | Sequence)}
        return lambda name, _: name in from_xcom
    own = mapped[context["ti"].map_index or 0] if isinstance(mapped, Sequence) else mapped
    if isinstance(own, Mapping):
        # These arguments are in the DAG file.
        return lambda _, __: False
    return lambda name, value: value is not partial.get(name)


def _literal(value: Any) -> Any:
    # None means "not given" to operators. Airflow does not render values that it resolves.
    return value if value is None or hasattr(value, "resolve") else literal(value)
