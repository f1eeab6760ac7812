# SPDX-License-Identifier: Apache-2.0
"""Tests of the watch: in virtual time over a service without I/O, piece by piece, and over real HTTP."""
