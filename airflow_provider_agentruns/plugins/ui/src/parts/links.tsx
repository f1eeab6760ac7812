// SPDX-License-Identifier: Apache-2.0
// Links. Airflow embeds the page in a frame that may not open tabs or navigate Airflow, so Airflow's own page opens them.

import type { ComponentChildren } from "preact";

import { airflowDocument } from "../theme";
import type { TaskPlace } from "../types";

interface Props {
  href: string;
  class?: string;
  title?: string;
  children: ComponentChildren;
}

/** A link to another site. The server sends only http and https URLs; this checks it again. */
export function OutsideLink({ href, ...more }: Props) {
  if (!/^https?:\/\//i.test(href)) return <span {...more} />;
  return <a {...more} href={href} target="_blank" rel="noopener noreferrer" onClick={(event) => follow(event, true)} />;
}

/** A link to a page of Airflow, relative to Airflow's root. */
export function AirflowLink({ href, ...more }: Props) {
  return <a {...more} href={`../${href}`} target="_top" onClick={(event) => follow(event, false)} />;
}

export function pathOf(place: TaskPlace): string {
  const { dag_id, dag_run_id, task_id, map_index } = place;
  const [dag, run, task] = [dag_id, dag_run_id, task_id].map(encodeURIComponent);
  return `dags/${dag}/runs/${run}/tasks/${task}${map_index >= 0 ? `/mapped/${map_index}` : ""}`;
}

/** A task instance's name, with the label or number of a mapped one. */
export function nameOf(task: { task_id: string; map_index: number; label?: string | null }): string {
  return task.map_index >= 0 ? `${task.task_id} [${task.label || task.map_index}]` : task.task_id;
}

/** An ID, shortened if it is as long as a UUID. */
export function Id({ id }: { id: string }) {
  return <code title={id}>{id.length > 20 ? id.slice(0, 8) : id}</code>;
}

function follow(event: MouseEvent, outside: boolean): void {
  const airflow = airflowDocument();
  const link = event.currentTarget;
  if (!airflow || !(link instanceof HTMLAnchorElement)) return;
  event.preventDefault();
  const copy = airflow.createElement("a");
  copy.href = link.href;
  copy.rel = "noopener noreferrer";
  if (outside || event.ctrlKey || event.metaKey || event.shiftKey) copy.target = "_blank";
  copy.click();
}
