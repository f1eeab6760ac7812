# SPDX-License-Identifier: Apache-2.0
"""
The offline service: the whole HTTP contract of agent runs on loopback, with scripted agents and faults on demand.

``python -m airflow_provider_agentruns.emulator`` serves it for a person, :class:`.server.Emulator` inside a test, and
``pytest_plugin`` as the fixture ``agent_runs_emulator``. It shares no code with the client, so that neither hides the
other's mistakes.

- ``agent_scripts``: the built-in agents; ``script_steps``: the steps that a script consists of
- ``script_runner``: executes a script; ``runs``: what it produces; ``service``: all state, without HTTP
- ``middleware``, ``app``: HTTP; ``webhooks``: events to a receiver; ``faults``: what goes wrong
- ``web_server``, ``server``: a web server in a thread of its own

Importing this package imports none of these modules.
"""
