# SPDX-License-Identifier: Apache-2.0
"""The offline service. It shares no code with the client, so that neither hides the other's mistakes."""
