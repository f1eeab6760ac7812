# SPDX-License-Identifier: Apache-2.0
"""
Waiting cheaply for many runs: one watch for each connection and event loop, whose cost grows with pages of the
listing and not with runs. What is to be done next (:mod:`plan` and what it is made of) is decided without I/O.
"""
