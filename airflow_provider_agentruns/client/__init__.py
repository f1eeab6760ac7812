# SPDX-License-Identifier: Apache-2.0
"""
The REST client: free of Airflow, usable on its own.

``requests`` says what is asked, ``answers`` what an answer means, ``settings`` where and how to connect,
``pacing`` (over ``schedule`` and ``machine``) and ``retrying`` when to send; ``transport`` has the two thin
classes that do the sending.
"""
