# SPDX-License-Identifier: Apache-2.0
"""
All code that uses Airflow outside its public API. Imports nothing of this package that uses Airflow itself.

Tested with Airflow 3.1.8, 3.2.2, and 3.3.2. What each module uses, and why:

``required_action``
    The supervisor's messages ``CreateHITLDetailPayload`` and ``GetHITLDetailResponse``. ``HITLOperator`` does not
    return the form that Airflow holds, which can be an older one, and no public function reads the answer to a form.

``task_instances``
    The tables of task instances, triggers, rendered fields, XComs, forms, and serialized DAGs. A plugin runs in the
    API server, and no public API joins a task instance to its trigger and its form.
"""
