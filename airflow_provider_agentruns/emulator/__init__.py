# SPDX-License-Identifier: Apache-2.0
"""
The offline service: the whole HTTP contract of agent runs, on loopback, with scripted agents.

``python -m airflow_provider_agentruns.emulator`` serves it for a person, :class:`.server.Emulator` inside a
test, and ``pytest_plugin`` as the fixture ``agent_runs_emulator``. It is written from the contract alone and
shares no code with the client, so that neither hides the other's mistakes.

**Faults.** What goes wrong is told to it while it is up. A fault meets requests by method and by path, after so many
that fit, so many times, or at random with a seed::

    emulator.faults.add("503", "GET", "/v1/runs/.*", times=2)
    emulator.faults.add("answer lost", "POST", "/v1/runs/[^/]+/resume", times=1)
    with emulator.faults.of("hanging", "GET", share=0.3):
        ...
    @pytest.mark.agent_runs(faults=["refused", ("429", "GET", "/v1/runs", {"retry_after": "soon"})])

``--faults plan.json`` takes the same as JSON, ``--fault '503 GET /v1/runs/.* times=2'`` as text (``faults.plan`` says
how both are written), and ``--list-faults`` shows what each does, whether the request is carried out, and its
parameters. The first rule that is due meets a request; ``emulator.requests`` tells by which fault each was met, and
``emulator.service`` what was truly carried out. These are there:

- the connection: ``refused``, ``outage``, ``connection closed``, ``request reset``, ``answer reset``, ``answer lost``,
  ``client killed``
- how the answer comes: ``slow answer``, ``slow head``, ``slow body``, ``hanging``, ``body cut off``, ``endless body``
- another status: ``401``, ``401 until rotated`` (see ``emulator.rotate_token``), ``403``, ``404``, ``404 at first``,
  ``409``, ``422``, ``429``, ``500``, ``502``, ``503``, ``504``
- no answer of the contract's: ``truncated JSON``, ``malformed JSON``, ``proxy page``, ``foreign error``,
  ``wrong content type``, ``empty body``, ``redirect``
- what the answer says: ``unknown status``, ``unknown fields``, ``null objects``, ``gigantic artifact``,
  ``deep nesting``, ``duplicate interrupts``, ``half surrogates``, ``clock skew``, ``listing lags``
- streams: ``stream cut``, ``stream silent``, ``stream endless``, ``stream repeats``

One of your own is a subclass of ``faults.Fault`` with a method ``meet``; pass an instance of it instead of a name.

What is where, from the inside out:

- ``scripts`` -- the words that an agent's script is written in
- ``agents``, ``cip`` -- the built-in agents
- ``runs``, ``steps``, ``engine`` -- a run: what has happened in it, and what drives its script
- ``service`` -- all the state, without HTTP; ``threads``, ``ratings``, ``catalog``, ``history`` are parts of it
- ``checks``, ``problems`` -- what it refuses
- ``bodies``, ``routes``, ``streaming``, ``guard``, ``errors``, ``app`` -- HTTP
- ``faults`` -- what happens to requests on the way; the service itself knows nothing of it
- ``recording``, ``serving``, ``server`` -- a web server in a thread of its own

Importing this package imports none of that, and needs neither starlette nor uvicorn.
"""
