# SPDX-License-Identifier: Apache-2.0
"""The route and the secrets of webhooks."""
