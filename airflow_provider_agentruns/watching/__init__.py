# SPDX-License-Identifier: Apache-2.0
"""Asset events for agent runs that reach a status. Waiting for given runs belongs in ``polling``."""
