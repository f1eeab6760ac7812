# SPDX-License-Identifier: Apache-2.0
"""
The offline service: the whole HTTP contract of agent runs, on loopback, with scripted agents.

``python -m airflow_provider_agentruns.emulator`` serves it for a person, :class:`.server.Emulator` inside a
test, and ``pytest_plugin`` as the fixture ``agent_runs_emulator``. It is written from the contract alone and
shares no code with the client, so that neither hides the other's mistakes.

What is where, from the inside out:

- ``scripts`` -- the words that an agent's script is written in
- ``agents``, ``cip`` -- the built-in agents
- ``runs``, ``steps``, ``engine`` -- a run: what has happened in it, and what drives its script
- ``service`` -- all the state, without HTTP; ``threads``, ``ratings``, ``catalog``, ``history`` are parts of it
- ``checks``, ``problems`` -- what it refuses
- ``bodies``, ``routes``, ``streaming``, ``guard``, ``errors``, ``app`` -- HTTP
- ``recording``, ``server`` -- a web server in a thread of its own

Importing this package imports none of that, and needs neither starlette nor uvicorn.
"""
