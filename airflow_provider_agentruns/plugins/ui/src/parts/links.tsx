// SPDX-License-Identifier: Apache-2.0
// Links. Airflow shows this page in a frame that may neither open a tab nor leave it, so Airflow's page follows them.

import type { ComponentChildren } from "preact";

import { airflowDocument } from "../theme";
import type { TaskPlace } from "../types";

interface Props {
  href: string;
  class?: string;
  title?: string;
  children: ComponentChildren;
}

/** A link to somebody else's page. The server passes on addresses of web pages only; it is looked at once more. */
export function OutsideLink({ href, ...more }: Props) {
  if (!/^https?:\/\//i.test(href)) return <span {...more} />;
  return <a {...more} href={href} target="_blank" rel="noopener noreferrer" onClick={(event) => follow(event, true)} />;
}

/** A link to another page of Airflow; this page lies right below Airflow's own root. */
export function AirflowLink({ href, ...more }: Props) {
  return <a {...more} href={`../${href}`} target="_top" onClick={(event) => follow(event, false)} />;
}

export function pathOf(place: TaskPlace): string {
  const { dag_id, dag_run_id, task_id, map_index } = place;
  const [dag, run, task] = [dag_id, dag_run_id, task_id].map(encodeURIComponent);
  return `dags/${dag}/runs/${run}/tasks/${task}${map_index >= 0 ? `/mapped/${map_index}` : ""}`;
}

export function nameOf(task: { task_id: string; map_index: number }): string {
  return task.map_index >= 0 ? `${task.task_id} [${task.map_index}]` : task.task_id;
}

function follow(event: MouseEvent, outside: boolean): void {
  const airflow = airflowDocument();
  const link = event.currentTarget;
  if (!airflow || !(link instanceof HTMLAnchorElement)) return;
  event.preventDefault();
  const theirs = airflow.createElement("a");
  theirs.href = link.href;
  theirs.rel = "noopener noreferrer";
  if (outside || event.ctrlKey || event.metaKey || event.shiftKey) theirs.target = "_blank";
  theirs.click();
}
