# SPDX-License-Identifier: Apache-2.0
"""The HTTP side of webhooks: the route, request bodies, and secrets. Events and assets belong to ``events``."""
