# SPDX-License-Identifier: Apache-2.0
"""
The offline service: the whole HTTP contract of agent runs on loopback, with scripted agents and faults.

It shares no code with the client, so that neither hides the other's mistakes.
"""
