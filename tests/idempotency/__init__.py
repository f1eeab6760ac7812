# SPDX-License-Identifier: Apache-2.0
"""Tests of doing things once, against a service that loses, delays and repeats."""
