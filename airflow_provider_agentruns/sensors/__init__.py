# SPDX-License-Identifier: Apache-2.0
"""The sensor. What the operators need too belongs in ``base``."""
