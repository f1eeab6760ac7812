# SPDX-License-Identifier: Apache-2.0
"""Tests of the trigger that makes events of all runs, and of what it is made of."""
