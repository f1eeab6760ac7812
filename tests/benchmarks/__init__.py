# SPDX-License-Identifier: Apache-2.0
"""What waiting costs, measured by hand with ``make bench``. Nothing here is a test, and nothing runs in CI."""
