# SPDX-License-Identifier: Apache-2.0
"""Routes of the pages and of their data, below ``/agent-runs``."""
