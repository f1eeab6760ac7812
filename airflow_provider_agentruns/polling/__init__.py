# SPDX-License-Identifier: Apache-2.0
"""Waiting for many runs with one poller per connection and event loop. Asset events belong in ``events``."""
