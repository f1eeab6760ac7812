// SPDX-License-Identifier: Apache-2.0
// A run's status as a badge, in the colors of Airflow's task states.

import { Icon } from "./Icon";

const KINDS: Record<string, { kind: string; label: string; icon: "check" | "cross" | "person" | "spin" | "dot" }> = {
  completed: { kind: "good", label: "Completed", icon: "check" },
  error: { kind: "bad", label: "Failed", icon: "cross" },
  interrupted: { kind: "person", label: "Waiting for a person", icon: "person" },
  running: { kind: "running", label: "Running", icon: "spin" },
  "not found": { kind: "bad", label: "Not found", icon: "cross" },
};

export function statusLabel(status: string): string {
  return KINDS[status]?.label ?? status;
}

export function Status({ status }: { status: string | null }) {
  const known = status === null ? { kind: "none", label: "Unknown", icon: "dot" as const } : KINDS[status];
  const { kind, label, icon } = known ?? { kind: "none", label: status, icon: "dot" as const };
  return (
    <span class={`badge ${kind}`}>
      <Icon name={icon} />
      {label}
    </span>
  );
}
