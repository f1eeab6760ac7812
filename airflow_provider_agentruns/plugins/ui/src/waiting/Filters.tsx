// SPDX-License-Identifier: Apache-2.0
// What of the list is to be seen.

import type { Waiting, WaitingTask } from "../types";

export interface Chosen {
  dag: string;
  agent: string;
  status: string;
  person: boolean;
}

export const NOTHING_CHOSEN: Chosen = { dag: "", agent: "", status: "", person: false };

const NOT_KNOWN = "not known yet";

export function fits(row: WaitingTask, { dag, agent, status, person }: Chosen): boolean {
  return (
    (!dag || row.dag_id === dag) &&
    (!agent || row.agent === agent) &&
    (!status || (row.status ?? NOT_KNOWN) === status) &&
    (!person || row.for_person)
  );
}

interface Props {
  data: Waiting;
  chosen: Chosen;
  choose: (chosen: Chosen) => void;
  shown: number;
}

export function Filters({ data, chosen, choose, shown }: Props) {
  const { rows, dag_ids } = data;
  const persons = rows.filter((row) => row.for_person).length;
  return (
    <form class="filters" onSubmit={(event) => event.preventDefault()}>
      <Choice label="DAG" all="All DAGs" values={dag_ids} value={chosen.dag} set={(dag) => choose({ ...chosen, dag })} />
      <Choice
        label="Agent"
        all="All agents"
        values={distinct(rows.map((row) => row.agent ?? ""))}
        value={chosen.agent}
        set={(agent) => choose({ ...chosen, agent })}
      />
      <Choice
        label="Status"
        all="Any status"
        values={distinct(rows.map((row) => row.status ?? NOT_KNOWN))}
        value={chosen.status}
        set={(status) => choose({ ...chosen, status })}
      />
      <button
        type="button"
        class="toggle"
        aria-pressed={chosen.person}
        onClick={() => choose({ ...chosen, person: !chosen.person })}
      >
        Waits for a person <span class="count">{persons}</span>
      </button>
      <span class="quiet" role="status">
        {shown} of {data.total}
      </span>
    </form>
  );
}

interface ChoiceProps {
  label: string;
  all: string;
  values: string[];
  value: string;
  set: (value: string) => void;
}

function Choice({ label, all, values, value, set }: ChoiceProps) {
  // What is chosen stays there to be unchosen, whatever has become of the list.
  const offered = value && !values.includes(value) ? [...values, value] : values;
  return (
    <label>
      <span class="hidden">{label}</span>
      <select value={value} onChange={(event) => set(event.currentTarget.value)}>
        <option value="">{all}</option>
        {offered.map((one) => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
      </select>
    </label>
  );
}

function distinct(values: string[]): string[] {
  return [...new Set(values)].filter(Boolean).sort();
}
