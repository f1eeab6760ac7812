# SPDX-License-Identifier: Apache-2.0
"""
Each fault of the offline service against each component of the package, and a service that is hostile.

- ``results/table.md``: the outcome of each fault for each component. ``python -m tests.faults`` writes it.
- ``components``, ``placement``: the columns of the table, and the request of a component that a fault applies to
- ``stand``: one offline service per component; ``calls``, ``tasks``, ``waits``: run the components
- ``outcomes``: what the table shows, and what must be true of each cell; ``table``: the file
- ``secrets``: searches all output for tokens
- ``hostile``, ``test_hostile_service``, ``test_injection``: hostile services and hostile input
"""
