# SPDX-License-Identifier: Apache-2.0
"""Tests of the trigger, in an event loop as the triggerer has one."""
