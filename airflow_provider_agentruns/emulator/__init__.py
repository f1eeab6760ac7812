# SPDX-License-Identifier: Apache-2.0
"""
The offline service: the whole HTTP contract of agent runs on loopback, with scripted agents and faults.

``__main__`` is the command line, ``server`` the class for tests, and ``pytest_plugin`` the fixture. The service shares
no code with the client, so that neither hides the other's mistakes.
"""
