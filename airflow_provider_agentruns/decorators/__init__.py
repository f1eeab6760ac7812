# SPDX-License-Identifier: Apache-2.0
"""Task decorators. What an operator can do without a function belongs in ``operators``."""
