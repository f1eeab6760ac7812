# SPDX-License-Identifier: Apache-2.0
"""Tests of asset events, from polling the listing and from webhooks."""
