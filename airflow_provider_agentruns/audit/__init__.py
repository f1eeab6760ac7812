# SPDX-License-Identifier: Apache-2.0
"""The documents in object storage that keep the trails of reviews."""
