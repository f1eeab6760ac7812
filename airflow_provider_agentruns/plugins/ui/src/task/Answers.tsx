// SPDX-License-Identifier: Apache-2.0
// The audit trail: who answered what and when, and whether the service confirmed it.

import { moment } from "../clock";
import { AirflowLink, nameOf, pathOf } from "../parts/links";
import type { Answer, TaskPlace } from "../types";

const AUTOMATIC: Record<string, string> = { policy: "the DAG's policy", timeout: "timeout (default answer)" };

export function Answers({ answers, place }: { answers: Answer[]; place: TaskPlace }) {
  if (answers.length === 0) return null;
  return (
    <section aria-labelledby="answers">
      <h2 id="answers">Answers</h2>
      <ol class="answers">
        {answers.map((answer, index) => (
          <li key={index}>
            <p class="label">{answer.label ?? answer.interrupt_id}</p>
            <p>
              <strong>{answer.chosen.join(", ") || "Answered"}</strong>
              {" by "}
              {AUTOMATIC[answer.by ?? ""] ?? answer.who ?? "a person"}
              {answer.at && <span class="quiet"> · {moment(answer.at)}</span>}
            </p>
            <p class="quiet">
              {answer.delivery === "confirmed" ? "Confirmed by the service." : "Assumed delivered: the question is no longer pending."}{" "}
              {answer.status && <>{statusAfter(answer.status)} </>}
              Sent by{" "}
              <AirflowLink href={pathOf({ ...place, task_id: answer.task_id, map_index: answer.map_index })}>
                {nameOf(answer)}
              </AirflowLink>
            </p>
            <details>
              <summary>Answer sent</summary>
              <pre tabIndex={0}>{answer.sent}</pre>
            </details>
          </li>
        ))}
      </ol>
    </section>
  );
}

function statusAfter(status: string): string {
  return status === "running" ? "Run resumed." : `Run status afterward: ${status}.`;
}
