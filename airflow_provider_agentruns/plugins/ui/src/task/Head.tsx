// SPDX-License-Identifier: Apache-2.0
// The run's ID, status, and times.

import { elapsed, inWords, moment } from "../clock";
import { Freshness } from "../parts/Freshness";
import { Icon } from "../parts/Icon";
import { Id, OutsideLink } from "../parts/links";
import { Status } from "../parts/Status";
import type { TaskRun } from "../types";

export function Head({ data, now, age }: { data: TaskRun; now: number; age: number | null }) {
  const { run, task, run_page } = data;
  const started = run?.started_at ?? run?.created_at ?? null;
  return (
    <header class="head">
      <div class="title">
        <h1>{run?.agent ?? "Agent run"}</h1>
        <span aria-live="polite">{run && <Status status={run.status} />}</span>
        <Freshness live={data.refresh_after !== null && run !== null} age={age} />
        {run_page && (
          <OutsideLink class="button" href={run_page}>
            Open the run <Icon name="out" />
          </OutsideLink>
        )}
      </div>
      <dl class="facts">
        <Fact name="Run">
          <Id id={task.run_id ?? ""} />
        </Fact>
        {run?.requester && <Fact name="Started by">{run.requester}</Fact>}
        {started && <Fact name="Started">{moment(started)}</Fact>}
        {run?.ended_at && <Fact name="Ended">{moment(run.ended_at)}</Fact>}
        {started && <Fact name="Duration">{inWords(elapsed(started, run?.ended_at ?? null, now))}</Fact>}
        {!run && <Fact name="Task state">{(task.state ?? "not started").replaceAll("_", " ")}</Fact>}
        {!run && task.since && <Fact name="Since">{moment(task.since)}</Fact>}
      </dl>
    </header>
  );
}

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
