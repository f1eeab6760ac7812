# SPDX-License-Identifier: Apache-2.0
"""What OpenLineage is told of a task's run, where Airflow's OpenLineage provider is installed."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_agentruns import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_agentruns.models import AgentRun, Artifact

#: How many sources are told of: an agent may have looked at thousands of pages.
_MOST_SOURCES = 100


def lineage(run: AgentRun, conn_id: str, base_url: str) -> Any:
    """
    Return an ``OperatorLineage``: the run as a facet, the sources of its artifacts as inputs, its output as output.

    :param run: The run as it was last seen.
    :param base_url: Where the service is.
    """
    base = import_module("openlineage.client.generated.base")
    artifacts = run.output.artifacts if run.output else []
    facet = _facet_class()(
        agentRunId=run.id,
        agent=run.agent,
        status=str(run.status),
        threadId=run.thread_id,
        connectionId=conn_id,
        artifactTypes=sorted({artifact.type for artifact in artifacts if artifact.type}),
        providerVersion=__version__,
    )
    service = f"agentruns://{urlsplit(base_url).netloc}"
    return import_module("airflow.providers.openlineage.extractors").OperatorLineage(
        inputs=[base.Dataset(namespace=namespace, name=name) for namespace, name in _sources(artifacts)],
        outputs=[base.Dataset(namespace=service, name=f"runs/{run.id}/output")] if artifacts else [],
        run_facets={"agentRun": facet},
    )


def _sources(artifacts: Iterable[Artifact]) -> list[tuple[str, str]]:
    """Return where artifacts come from, as namespace and name; without queries, which may hold what is personal."""
    found: dict[tuple[str, str], None] = {}
    for artifact in artifacts:
        for source in artifact.sources if isinstance(artifact.sources, list) else ():
            try:
                parts = urlsplit(getattr(source, "url", None) or "")
                host = parts.hostname
            except (ValueError, TypeError, AttributeError):
                continue
            if parts.scheme in ("http", "https") and host and len(found) < _MOST_SOURCES:
                found[f"{parts.scheme}://{host}", parts.path or "/"] = None
    return list(found)


@cache
def _facet_class() -> Any:
    """Make the facet's class, of a base that is there only with OpenLineage."""
    attrs, base = import_module("attrs"), import_module("openlineage.client.generated.base")

    class AgentRunRunFacet(base.RunFacet):  # type: ignore[name-defined,misc]
        """
        The agent run that a task has to do with.

        Its fields are called as OpenLineage calls fields.
        """

        agentRunId: str  # noqa: N815
        agent: str | None
        status: str
        threadId: str | None  # noqa: N815
        connectionId: str  # noqa: N815
        artifactTypes: list[str]  # noqa: N815
        providerVersion: str  # noqa: N815

    return attrs.define(AgentRunRunFacet)
