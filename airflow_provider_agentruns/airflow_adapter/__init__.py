# SPDX-License-Identifier: Apache-2.0
"""
All code that uses Airflow outside its public API. Tested with Airflow 3.1.8, 3.2.2, and 3.3.2.

``agent_tasks``
    The tables of task instances, DAG runs, triggers, rendered fields, XComs, forms, and serialized DAGs. No public API
    joins a task instance to its trigger and form.

``asset_events``
    The asset manager and the tables of assets and asset state (Airflow 3.3+). The API server has no public way to write
    asset events exactly once.

``asset_state``
    The stores inside ``AssetStateStoreAccessors`` (Airflow 3.3+). A trigger cannot learn which assets it watches.

``held_events``
    The tables of assets, asset events, and queued DAGs. No public function queues a DAG for a held
    event.

``required_action``
    The supervisor's messages for forms. ``HITLOperator`` does not return the form that Airflow holds, which can be an
    older one, and no public function reads its answer.

``stored_xcom``
    The XCom backend. The API server has no public function that reads a value through it.

``xcom_arguments``
    The mapped operator's ``expand_input`` and ``partial_kwargs``. No public setting prevents Airflow from rendering
    values that ``expand_kwargs`` gets from XCom.
"""
