// SPDX-License-Identifier: Apache-2.0
// The list: a table on a wide screen, cards on a phone.

import { elapsed, inWords, moment } from "../clock";
import { AirflowLink, Id, nameOf, pathOf } from "../parts/links";
import { Status } from "../parts/Status";
import type { WaitingTask } from "../types";
import { statusOf } from "./Filters";

export function Rows({ rows, now }: { rows: WaitingTask[]; now: number }) {
  if (rows.length === 0) return null;
  // Explicit roles, because a table that is styled as cards loses its own.
  return (
    <table class="rows" role="table">
      <thead role="rowgroup">
        <tr role="row">
          {["Status", "Agent", "Task", "Waiting", "Task state"].map((name) => (
            <th key={name} role="columnheader" scope="col">
              {name}
            </th>
          ))}
          <th role="columnheader" scope="col">
            <span class="hidden">Action</span>
          </th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <Row key={`${row.dag_id} ${row.dag_run_id} ${row.task_id} ${row.map_index}`} row={row} now={now} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ row, now }: { row: WaitingTask; now: number }) {
  const path = pathOf(row);
  return (
    <tr role="row" class={row.needs_person ? "person" : undefined}>
      <td role="cell" class="status">
        <Status status={statusOf(row)} />
      </td>
      <td role="cell" class="agent">
        {row.agent ?? <span class="quiet">–</span>} {row.run_id && <Id id={row.run_id} />}
      </td>
      <td role="cell" class="task">
        <AirflowLink href={`${path}/plugin/agent-run`}>
          <span class="dag">{row.dag_id}</span> <strong>{nameOf(row)}</strong>
        </AirflowLink>
        {row.question && <span class="asks">{row.question}</span>}
        <span class="dag-run">{row.dag_run_id}</span>
      </td>
      <td role="cell" class="since" title={moment(row.since)}>
        {inWords(elapsed(row.since, null, now))}
      </td>
      <td role="cell" class="state">
        {(row.state ?? "").replaceAll("_", " ")}
      </td>
      <td role="cell" class="todo">
        {row.has_form && (
          <AirflowLink class="button primary" href={`${path}/required_actions`}>
            Answer
          </AirflowLink>
        )}
      </td>
    </tr>
  );
}
