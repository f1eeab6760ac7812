# SPDX-License-Identifier: Apache-2.0
"""The audit trails of reviews, and the documents in object storage that keep them."""
