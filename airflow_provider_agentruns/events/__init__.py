# SPDX-License-Identifier: Apache-2.0
"""Asset events for agent runs, from polling the listing and from webhooks. Waits belong in ``polling``."""
