# SPDX-License-Identifier: Apache-2.0
"""
Tests with generated data.

``PROPERTY_TESTS=long PYTEST_TIMEOUT=3600`` tries thousands of cases instead of hundreds.
"""
