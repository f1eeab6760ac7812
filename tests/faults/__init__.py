# SPDX-License-Identifier: Apache-2.0
"""
Every fault of the offline service against every part of the package, and what nobody on the wire may get at.

- ``results/table.md`` -- what each fault does to each component; ``python -m tests.faults`` writes it anew
- ``parts``, ``placing``, ``cells``, ``expected``, ``table`` -- the components, which request of theirs a fault meets,
  what came of it, what must come of it, and how that is written down
- ``row``, ``bench``, ``agents``, ``tasks``, ``answered``, ``exceptions_met``, ``hooks``, ``waits`` -- how a row is run
- ``secrets`` -- searches what came out for tokens
- ``hostile``, ``test_hostile_*``, ``test_injection``, ``test_run_pages`` -- boundaries beyond those faults
"""
