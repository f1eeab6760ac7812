// SPDX-License-Identifier: Apache-2.0
// The page of all runs that tasks are waiting for.

import { useState } from "preact/hooks";

import { useServerTime } from "../clock";
import { useLive } from "../live";
import { Freshness } from "../parts/Freshness";
import { FailureNotice, Notice } from "../parts/Notice";
import type { Waiting } from "../types";
import { Filters, matches, NO_FILTER, type Selection } from "./Filters";
import { Rows } from "./Rows";

export function OverviewPage() {
  const [selection, setSelection] = useState<Selection>(NO_FILTER);
  const { data, at, failure, retry } = useLive<Waiting>(
    `api/waiting${selection.dag ? `?dag_id=${encodeURIComponent(selection.dag)}` : ""}`,
  );
  const now = useServerTime(data?.now, at, data !== null);
  const rows = data?.rows.filter((row) => matches(row, selection)) ?? [];
  return (
    <>
      <header class="head">
        <div class="title">
          <h1>Agent runs</h1>
          <Freshness live={data !== null && failure === null} age={null} />
        </div>
        <p class="quiet">Runs your tasks are waiting for</p>
      </header>
      <FailureNotice failure={failure} retry={retry} />
      {data?.errors.map(({ connection, message }) => (
        <Notice key={connection} title={`Cannot update statuses from connection ${connection}`} retry={retry}>
          {message}
        </Notice>
      ))}
      {data && <Filters data={data} selection={selection} select={setSelection} shown={rows.length} />}
      {data === null && failure === null && <p class="quiet">Loading…</p>}
      {data && <Rows rows={rows} now={now} />}
      {data && rows.length === 0 && (
        <p class="quiet">{data.rows.length ? "No runs match these filters." : "No task is waiting for an agent run."}</p>
      )}
      {data && data.total > data.rows.length && (
        <p class="quiet">
          Showing the first {data.rows.length} of {data.total}. Select a DAG to see others.
        </p>
      )}
    </>
  );
}
