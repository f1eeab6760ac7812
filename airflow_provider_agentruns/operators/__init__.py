# SPDX-License-Identifier: Apache-2.0
"""The operators. What the sensor needs too belongs in ``base``; the rest in ``idempotency`` or ``reviews``."""
