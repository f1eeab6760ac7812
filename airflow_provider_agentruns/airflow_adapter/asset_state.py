# SPDX-License-Identifier: Apache-2.0
"""The stores inside Airflow's ``AssetStateStoreAccessors``. A trigger cannot learn which assets it watches."""

from __future__ import annotations

from typing import Any


def asset_state_stores(accessors: Any) -> list[Any]:
    """Return the store of each asset from a trigger's ``asset_state_store``, which is None before Airflow 3.3."""
    if accessors is None:
        return []
    stores = [*getattr(accessors, "_by_name", {}).items(), *getattr(accessors, "_by_uri", {}).items()]
    return [store for _, store in sorted(stores, key=lambda item: item[0])] or [accessors]
