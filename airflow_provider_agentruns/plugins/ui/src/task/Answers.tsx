// SPDX-License-Identifier: Apache-2.0
// The trail: who answered what and when, and whether it arrived.

import { moment } from "../clock";
import { AirflowLink, nameOf, pathOf } from "../parts/links";
import type { Answer, TaskPlace } from "../types";

const NOBODY: Record<string, string> = { policy: "The DAG's policy", timeout: "Nobody in time: the default" };

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
              {NOBODY[answer.by ?? ""] ?? answer.who ?? "a person"}
              {answer.at && <span class="quiet"> · {moment(answer.at)}</span>}
            </p>
            <p class="quiet">
              {answer.delivery === "confirmed" ? "The service confirmed it." : "Taken as delivered: the question is gone."}{" "}
              {answer.status && <>Then the run was {answer.status}. </>}
              Sent by{" "}
              <AirflowLink href={pathOf({ ...place, task_id: answer.task_id, map_index: answer.map_index })}>
                {nameOf(answer)}
              </AirflowLink>
            </p>
            <details>
              <summary>What was sent</summary>
              <pre tabIndex={0}>{answer.sent}</pre>
            </details>
          </li>
        ))}
      </ol>
    </section>
  );
}
