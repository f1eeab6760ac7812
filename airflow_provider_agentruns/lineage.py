# SPDX-License-Identifier: Apache-2.0
"""The lineage of a run, for Airflow's OpenLineage provider."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_agentruns import __version__
from airflow_provider_agentruns.text import single_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_agentruns.models import AgentRun, Artifact

#: The maximum number of sources, and of types, in an event.
_MAX_SOURCES = 100


def lineage(run: AgentRun, conn_id: str, base_url: str) -> Any:
    """Return an ``OperatorLineage``: the run as a facet, the artifacts' sources as inputs, its output as the output."""
    base = import_module("openlineage.client.generated.base")
    artifacts = run.output.artifacts if run.output else []
    facet = base.RunFacet().with_additional_properties(
        agentRunId=single_line(run.id),
        agent=single_line(run.agent) if run.agent else None,
        status=single_line(run.status),
        threadId=single_line(run.thread_id) if run.thread_id else None,
        connectionId=conn_id,
        artifactTypes=_types(artifacts),
        providerVersion=__version__,
    )
    service = f"agentruns://{urlsplit(base_url).netloc}"
    return import_module("airflow.providers.openlineage.extractors").OperatorLineage(
        inputs=[base.Dataset(namespace=namespace, name=name) for namespace, name in _sources(artifacts)],
        outputs=[base.Dataset(namespace=service, name=f"runs/{single_line(run.id)}/output")] if artifacts else [],
        run_facets={"agentRun": facet},
    )


def _types(artifacts: Iterable[Artifact]) -> list[str]:
    # The models keep values of a wrong type.
    types = {artifact.type for artifact in artifacts if isinstance(artifact.type, str) and artifact.type}
    return [single_line(each) for each in sorted(types)[:_MAX_SOURCES]]


def _sources(artifacts: Iterable[Artifact]) -> list[tuple[str, str]]:
    """Return the namespaces and names of sources, without URL queries, which can contain personal data."""
    found: dict[tuple[str, str], None] = {}
    for artifact in artifacts:
        for source in artifact.sources if isinstance(artifact.sources, list) else ():
            url = getattr(source, "url", None)
            try:
                parts = urlsplit(url if isinstance(url, str) else "")
                host = parts.hostname
            except ValueError:
                continue
            if parts.scheme in ("http", "https") and host:
                found[f"{parts.scheme}://{single_line(host)}", single_line(parts.path or "/", 1_000)] = None
    return list(found)[:_MAX_SOURCES]
