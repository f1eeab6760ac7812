# SPDX-License-Identifier: Apache-2.0
"""Each fault of the offline service against each component of the package, hostile services, and hostile input."""
