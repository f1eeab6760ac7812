# SPDX-License-Identifier: Apache-2.0
"""
Tests with generated data: everything that the contract allows is read, and under all faults, things are done once.

``PROPERTY_TESTS=long`` tries thousands of cases instead of hundreds.
"""
