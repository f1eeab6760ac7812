// SPDX-License-Identifier: Apache-2.0
// The audit trail: who answered what and when, and whether the service confirmed it.

import { moment } from "../clock";
import { AirflowLink, Id, nameOf, pathOf } from "../parts/links";
import type { Answer, Decision, TaskPlace } from "../types";

const AUTOMATIC: Record<string, string> = { policy: "the DAG's policy", timeout: "timeout (default answer)" };

const DELIVERIES: Record<string, string> = {
  confirmed: "Confirmed by the service.",
  presumed: "Assumed delivered: the question is no longer pending.",
  "not sent": "Not sent to the service.",
  unknown: "The service may have received it.",
};

export function Answers({ answers, place }: { answers: Answer[]; place: TaskPlace }) {
  if (answers.length === 0) return null;
  return (
    <section aria-labelledby="answers">
      <h2 id="answers">Answers</h2>
      <ol class="answers">
        {answers.map((answer, index) => (
          <li key={index}>
            <p class="label">{answer.label ?? <Id id={answer.interrupt_id ?? ""} />}</p>
            <p>
              <Decided decision={answer} />
            </p>
            {answer.superseded.map((decision, index) => (
              <p key={index}>
                Earlier decision, not sent: <Decided decision={decision} />
              </p>
            ))}
            <p class="quiet">
              {DELIVERIES[answer.delivery ?? ""] ?? answer.delivery} {answer.status && <>{statusAfter(answer.status)} </>}
              Task:{" "}
              <AirflowLink href={pathOf({ ...place, task_id: answer.task_id, map_index: answer.map_index })}>
                {nameOf(answer)}
              </AirflowLink>
            </p>
            <details>
              <summary>Answer</summary>
              <pre tabIndex={0}>{answer.sent}</pre>
            </details>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Decided({ decision: { chosen, by, who, at } }: { decision: Decision }) {
  return (
    <>
      <strong>{chosen.join(", ") || "Answered"}</strong>
      {" by "}
      {AUTOMATIC[by ?? ""] ?? who ?? "a person"}
      {at && <span class="quiet"> · {moment(at)}</span>}
    </>
  );
}

function statusAfter(status: string): string {
  return status === "running" ? "Run resumed." : `Run status afterward: ${status}.`;
}
