# SPDX-License-Identifier: Apache-2.0
"""
All code that uses Airflow outside its public API. Imports nothing of this package that uses Airflow itself.

Tested with Airflow 3.1.8, 3.2.2, and 3.3.2. What each module uses, and why:

``agent_tasks``
    The tables of task instances, DAG runs, triggers, rendered fields, XComs, forms, and serialized DAGs. A plugin
    runs in the API server, and no public API joins a task instance to its trigger and its form.

``asset_events``
    The asset manager and the tables of assets, asset events, and asset state (Airflow 3.3+). The API server has no
    public way to write the asset events of a webhook exactly once.

``asset_state``
    The stores inside ``AssetStateStoreAccessors`` (Airflow 3.3+). A trigger that several assets share has a store for
    each of them, gets one by its asset, and has no public way to learn which assets it watches.

``held_events``
    The tables of assets, asset events, and queued DAGs. No public function queues a DAG for an event that Airflow holds
    back.

``required_action``
    The supervisor's messages ``CreateHITLDetailPayload`` and ``GetHITLDetailResponse``. ``HITLOperator`` does not
    return the form that Airflow holds, which can be an older one, and no public function reads the answer to a form.

``stored_xcom``
    The XCom backend from ``airflow.sdk.execution_time.xcom``. The API server has no public function that reads a value
    through it.

``xcom_arguments``
    The mapped operator's ``expand_input`` and ``partial_kwargs``. Airflow renders values that ``expand_kwargs`` gets
    from XCom as templates, and no public setting prevents that.
"""
