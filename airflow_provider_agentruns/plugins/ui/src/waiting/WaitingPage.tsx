// SPDX-License-Identifier: Apache-2.0
// The page of all runs that this Airflow waits for.

import { useState } from "preact/hooks";

import { useServerTime } from "../clock";
import { useLive } from "../live";
import { Freshness } from "../parts/Freshness";
import { FailureNotice, Notice } from "../parts/Notice";
import type { Waiting } from "../types";
import { type Chosen, Filters, fits, NOTHING_CHOSEN } from "./Filters";
import { Rows } from "./Rows";

export function WaitingPage() {
  const [chosen, setChosen] = useState<Chosen>(NOTHING_CHOSEN);
  const { data, at, failure, again } = useLive<Waiting>(
    `api/waiting${chosen.dag ? `?dag_id=${encodeURIComponent(chosen.dag)}` : ""}`,
  );
  const now = useServerTime(data?.now, at, data !== null);
  const rows = data?.rows.filter((row) => fits(row, chosen)) ?? [];
  return (
    <>
      <header class="head">
        <div class="title">
          <h1>Agent runs</h1>
          <Freshness live={data !== null && failure === null} age={null} />
        </div>
        <p class="quiet">What the tasks of this Airflow wait for</p>
      </header>
      <FailureNotice failure={failure} again={again} />
      {data?.errors.map(({ message }) => (
        <Notice key={message} title="The service cannot be read: statuses may be old or missing" again={again}>
          {message}
        </Notice>
      ))}
      {data && <Filters data={data} chosen={chosen} choose={setChosen} shown={rows.length} />}
      {data === null && failure === null && <p class="quiet">Looking …</p>}
      {data && <Rows rows={rows} now={now} />}
      {data && rows.length === 0 && (
        <p class="quiet">{data.rows.length ? "None fits what is chosen." : "No task waits for an agent run."}</p>
      )}
      {data && data.total > data.rows.length && (
        <p class="quiet">
          These are the first {data.rows.length} of {data.total}. Choose a DAG to see others.
        </p>
      )}
    </>
  );
}
