# SPDX-License-Identifier: Apache-2.0
"""Tests of what a person is shown, of the form and of the answer."""
