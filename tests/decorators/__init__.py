# SPDX-License-Identifier: Apache-2.0
"""Task decorators, as a DAG's author uses them."""
