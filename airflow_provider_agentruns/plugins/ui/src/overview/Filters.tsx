// SPDX-License-Identifier: Apache-2.0
// The filters of the list.

import { statusLabel } from "../parts/Status";
import type { Waiting, WaitingTask } from "../types";

export interface Selection {
  dag: string;
  agent: string;
  status: string;
  person: boolean;
}

export const NO_FILTER: Selection = { dag: "", agent: "", status: "", person: false };

/** The status that a row shows and by which it is filtered. */
export function statusOf(row: WaitingTask): string {
  return row.needs_person ? "interrupted" : (row.status ?? "unknown");
}

export function matches(row: WaitingTask, { dag, agent, status, person }: Selection): boolean {
  return (
    (!dag || row.dag_id === dag) &&
    (!agent || row.agent === agent) &&
    (!status || statusOf(row) === status) &&
    (!person || row.needs_person)
  );
}

interface Props {
  data: Waiting;
  selection: Selection;
  select: (selection: Selection) => void;
  shown: number;
}

export function Filters({ data, selection, select, shown }: Props) {
  const { rows, dag_ids } = data;
  const waiting = rows.filter((row) => row.needs_person).length;
  return (
    <form class="filters" onSubmit={(event) => event.preventDefault()}>
      <Filter label="DAG" all="All DAGs" values={dag_ids} value={selection.dag} set={(dag) => select({ ...selection, dag })} />
      <Filter
        label="Agent"
        all="All agents"
        values={distinct(rows.map((row) => row.agent ?? ""))}
        value={selection.agent}
        set={(agent) => select({ ...selection, agent })}
      />
      <Filter
        label="Status"
        all="Any status"
        values={distinct(rows.map(statusOf))}
        value={selection.status}
        set={(status) => select({ ...selection, status })}
      />
      <button
        type="button"
        class="toggle"
        aria-pressed={selection.person}
        onClick={() => select({ ...selection, person: !selection.person })}
      >
        Waiting for a person <span class="count">{waiting}</span>
      </button>
      <span class="quiet" role="status">
        {shown} of {data.total}
      </span>
    </form>
  );
}

interface FilterProps {
  label: string;
  all: string;
  values: string[];
  value: string;
  set: (value: string) => void;
}

function Filter({ label, all, values, value, set }: FilterProps) {
  // The selected value stays in the list, so that it can be deselected.
  const offered = value && !values.includes(value) ? [...values, value] : values;
  return (
    <label>
      <span class="hidden">{label}</span>
      <select value={value} onChange={(event) => set(event.currentTarget.value)}>
        <option value="">{all}</option>
        {offered.map((option) => (
          <option key={option} value={option}>
            {label === "Status" ? statusLabel(option) : option}
          </option>
        ))}
      </select>
    </label>
  );
}

function distinct(values: string[]): string[] {
  return [...new Set(values)].filter(Boolean).sort();
}
