// SPDX-License-Identifier: Apache-2.0
// A status as a badge, in the colours of Airflow's task states.

import { Icon } from "./Icon";

const KINDS: Record<string, { kind: string; label: string; icon: "check" | "cross" | "person" | "spin" | "dot" }> = {
  completed: { kind: "good", label: "Completed", icon: "check" },
  error: { kind: "bad", label: "Error", icon: "cross" },
  interrupted: { kind: "person", label: "Waits for a person", icon: "person" },
  running: { kind: "running", label: "Running", icon: "spin" },
  "not found": { kind: "bad", label: "Not found", icon: "cross" },
};

export function Status({ status }: { status: string | null }) {
  const known = status === null ? { kind: "none", label: "Not known yet", icon: "dot" as const } : KINDS[status];
  const { kind, label, icon } = known ?? { kind: "none", label: status, icon: "dot" as const };
  return (
    <span class={`badge ${kind}`}>
      <Icon name={icon} />
      {label}
    </span>
  );
}
