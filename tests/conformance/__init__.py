# SPDX-License-Identifier: Apache-2.0
"""
Tests by generated data: all that the contract allows is understood, and whatever goes wrong, things are done once.

``PROPERTY_TESTS=long`` tries thousands of cases where else some hundreds are tried.
"""
