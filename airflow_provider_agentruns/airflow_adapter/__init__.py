# SPDX-License-Identifier: Apache-2.0
"""All code that uses Airflow outside its public API; each module states why. Tested with 3.1.8, 3.2.2, and 3.3.2."""

#: Where the URIs of this package's assets, and the class paths of its triggers, begin.
ASSET_URIS, TRIGGERS = "agentruns://", "airflow_provider_agentruns.triggers."
