// SPDX-License-Identifier: Apache-2.0
// The page of one task instance.

import { useServerTime } from "../clock";
import { type Live, useLive } from "../live";
import { FailureNotice, Notice } from "../parts/Notice";
import type { TaskRun } from "../types";
import { Answers } from "./Answers";
import { Artifacts } from "./Artifacts";
import { Head } from "./Head";
import { Questions } from "./Questions";
import { Timeline } from "./Timeline";

export function TaskPage() {
  const live = useLive<TaskRun>(address());
  const { data, at, failure, retry } = live;
  const now = useServerTime(data?.now, at, data?.refresh_after != null);
  return (
    <>
      <FailureNotice failure={failure} retry={retry} />
      {data ? <Found data={data} now={now} live={live} /> : failure === null && <p class="quiet">Loading…</p>}
    </>
  );
}

function Found({ data, now, live }: { data: TaskRun; now: number; live: Live<TaskRun> }) {
  const { task, run, error, questions, trail } = data;
  if (!task.run_id) {
    const state = (task.state ?? "not started").replaceAll("_", " ");
    return (
      <header class="head">
        <h1>Agent run</h1>
        <p class="quiet">{task.is_agent_task ? `No agent run yet. Task state: ${state}.` : "No agent run for this task."}</p>
      </header>
    );
  }
  return (
    <>
      <Head data={data} now={now} age={data.age === null ? null : data.age + (Date.now() - live.at) / 1000} />
      {run?.failure && <Notice title="Run failed">{run.failure}</Notice>}
      {error && (
        <Notice title={run ? "Cannot update the run; showing its last known state" : "Cannot read the run"} retry={live.retry}>
          {error.message}
        </Notice>
      )}
      <Questions questions={questions} unread={run === null} more={run?.more_interrupts ?? 0} now={now} />
      {run && <Timeline run={run} trail={trail} now={now} />}
      {run && <Artifacts artifacts={run.artifacts} more={run.more_artifacts} />}
      <Answers answers={trail} place={task} />
    </>
  );
}

function address(): string {
  // Airflow 3.1 does not encode the IDs. A DAG run ID may contain a plus sign, but no space.
  const query = new URLSearchParams(location.search.replaceAll("+", "%2B"));
  const dag = encodeURIComponent(query.get("dag_id") ?? "");
  query.delete("dag_id");
  return `api/dags/${dag}/task?${query}`;
}
