// SPDX-License-Identifier: Apache-2.0
// What the server sends; see ../../serializers.py and ../../routes.

export interface Problem {
  message: string;
}

export interface Refreshed {
  now: string;
  refresh_after: number | null;
}

export interface TaskPlace {
  dag_id: string;
  dag_run_id: string;
  task_id: string;
  map_index: number;
}

export interface Task extends TaskPlace {
  label: string | null;
  state: string | null;
  since: string | null;
  run_id: string | null;
  is_agent_task: boolean;
}

export interface Step {
  id: string | null;
  label: string;
  name: string | null;
  agent: string | null;
  type: string | null;
  status: string | null;
  started_at: string | null;
  completed_at: string | null;
  resolution: string | null;
  artifacts: number;
  steps: Step[];
}

export interface Source {
  name: string;
  url: string | null;
  host: string | null;
  tier: string | null;
  kind: string | null;
}

export interface Artifact {
  title: string;
  type: string | null;
  confidence: string | null;
  agent: string | null;
  summary: string | null;
  sources: Source[];
  more_sources: number;
  details: string | null;
}

export interface Run {
  id: string;
  agent: string | null;
  status: string;
  finished: boolean;
  failure: string | null;
  requester: string | null;
  created_at: string | null;
  started_at: string | null;
  ended_at: string | null;
  steps: Step[];
  more_steps: number;
  steps_too_large: boolean;
  artifacts: Artifact[];
  more_artifacts: number;
  more_interrupts: number;
}

export interface Question {
  id: string;
  agent: string | null;
  label: string;
  form: (TaskPlace & { shown_at: string | null }) | null;
}

export interface Decision {
  by: string | null;
  who: string | null;
  at: string | null;
  chosen: string[];
}

export interface Answer extends Decision {
  task_id: string;
  map_index: number;
  interrupt_id: string | null;
  label: string | null;
  delivery: string | null;
  status: string | null;
  sent: string;
  superseded: Decision[];
}

export interface TaskRun extends Refreshed {
  task: Task;
  run: Run | null;
  run_page: string | null;
  age: number | null;
  error: Problem | null;
  questions: Question[];
  trail: Answer[];
}

export interface WaitingTask extends Task {
  agent: string | null;
  status: string | null;
  question: string | null;
  has_form: boolean;
  needs_person: boolean;
}

export interface Waiting extends Refreshed {
  rows: WaitingTask[];
  total: number;
  dag_ids: string[];
  errors: (Problem & { connection: string })[];
}
