# SPDX-License-Identifier: Apache-2.0
"""Tests of the REST client, over real HTTP to a server of the test's own."""
