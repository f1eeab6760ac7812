// SPDX-License-Identifier: Apache-2.0
// A run's status as a badge, in the colors of Airflow's task states.

import { Icon } from "./Icon";

interface Kind {
  kind: string;
  label: string;
  icon: "check" | "cross" | "person" | "spin" | "dot";
}

const KINDS: Record<string, Kind> = {
  completed: { kind: "good", label: "Completed", icon: "check" },
  error: { kind: "bad", label: "Failed", icon: "cross" },
  interrupted: { kind: "person", label: "Waiting for a person", icon: "person" },
  running: { kind: "running", label: "Running", icon: "spin" },
  unknown: { kind: "none", label: "Unknown", icon: "dot" },
  "not found": { kind: "bad", label: "Not found", icon: "cross" },
};

export function statusLabel(status: string): string {
  return kindOf(status).label;
}

export function Status({ status }: { status: string | null }) {
  const { kind, label, icon } = kindOf(status ?? "unknown");
  return (
    <span class={`badge ${kind}`}>
      <Icon name={icon} />
      {label}
    </span>
  );
}

function kindOf(status: string): Kind {
  // An own property, because a service could send "constructor".
  const known = Object.hasOwn(KINDS, status) ? KINDS[status] : undefined;
  return known ?? { kind: "none", label: status, icon: "dot" };
}
