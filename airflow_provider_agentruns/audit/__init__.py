# SPDX-License-Identifier: Apache-2.0
"""Documents that keep the trails of reviews: written to a folder of object storage, and listed from it."""
