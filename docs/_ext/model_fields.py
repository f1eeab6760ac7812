# SPDX-License-Identifier: Apache-2.0
"""The directive ``model-fields`` generates a table of a pydantic model's fields, with readable types."""

from __future__ import annotations

from enum import Enum
from importlib import import_module
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from docutils import nodes
from pydantic import BaseModel
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from tables import table


class ModelFields(SphinxDirective):
    """The fields of a model. The argument is the name of a class in :mod:`airflow_provider_agentruns.models`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        model = getattr(import_module("airflow_provider_agentruns.models"), self.arguments[0])
        rows = [
            (name, type_name(field.annotation), "always" if field.is_required() else "")
            for name, field in model.model_fields.items()
        ]
        return [table(["field", "type", "present"], rows, code_columns=(0, 1))]


def type_name(annotation: Any) -> str:
    """Return a type as text, without the metadata for pydantic."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return type_name(get_args(annotation)[0])
    if annotation is NoneType:
        return "None"
    if origin in (Union, UnionType):
        return " | ".join(dict.fromkeys(map(type_name, get_args(annotation))))
    if origin is not None:
        return f"{origin.__name__}[{', '.join(map(type_name, get_args(annotation)))}]"
    return str(getattr(annotation, "__name__", annotation))


def without_signature(app: Sphinx, what: str, name: str, it: Any, *_: Any) -> tuple[str, str] | None:
    """Omit the constructor's signature of models and enumerations, because users do not create them."""
    return ("", "") if isinstance(it, type) and issubclass(it, BaseModel | Enum) else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive and the handler for signatures."""
    app.add_directive("model-fields", ModelFields)
    app.connect("autodoc-process-signature", without_signature)
    return {"parallel_read_safe": True}
