// SPDX-License-Identifier: Apache-2.0
// Pending questions, and links to their forms.

import { elapsed, inWords } from "../clock";
import { Icon } from "../parts/Icon";
import { AirflowLink, pathOf } from "../parts/links";
import type { Question } from "../types";

interface Props {
  questions: Question[];
  /** Whether the run could not be read, so that the questions are those of Airflow's forms. */
  unread: boolean;
  more: number;
  now: number;
}

export function Questions({ questions, unread, more, now }: Props) {
  if (questions.length === 0) return null;
  return (
    <section aria-labelledby="questions">
      <h2 id="questions">{unread ? "Open forms in this DAG run" : "Waiting for a person"}</h2>
      <ul class="questions">
        {questions.map(({ id, agent, label, form }) => (
          <li key={id} class="question">
            <Icon name="person" />
            <div>
              <p class="label">{label}</p>
              <p class="quiet">
                {agent && <>Asked by {agent}</>}
                {agent && form?.shown_at && " · "}
                {form?.shown_at && <>Waiting for {inWords(elapsed(form.shown_at, null, now))}</>}
                {!form && <>{agent && " · "}No task is waiting for the answer</>}
              </p>
            </div>
            {form && (
              <AirflowLink class="button primary" href={`${pathOf(form)}/required_actions`}>
                Answer
              </AirflowLink>
            )}
          </li>
        ))}
      </ul>
      {more > 0 && <p class="quiet">and {more} more</p>}
    </section>
  );
}
