# SPDX-License-Identifier: Apache-2.0
"""Task decorators: a function that says what is to be done, and an operator that does it."""
