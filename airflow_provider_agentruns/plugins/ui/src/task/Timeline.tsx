// SPDX-License-Identifier: Apache-2.0
// The nested steps of a run, with their times and durations.

import { elapsed, inWords, moment } from "../clock";
import { Icon } from "../parts/Icon";
import type { Answer, Run, Step } from "../types";
import { type Scale, scaleOf } from "./scale";

export function Timeline({ run, trail, now }: { run: Run; trail: Answer[]; now: number }) {
  const scale = scaleOf(run, now);
  return (
    <section aria-labelledby="timeline">
      <h2 id="timeline">Timeline</h2>
      {run.steps.length === 0 ? (
        <p class="quiet">{noSteps(run)}</p>
      ) : (
        <Steps steps={run.steps} trail={trail} now={now} scale={scale} stopped={run.finished} root={run.agent} />
      )}
      {scale.shortened && <p class="quiet">Not to scale: time waiting for a person (striped) is shortened.</p>}
      {run.more_steps > 0 && <p class="quiet">Steps not shown: {run.more_steps}</p>}
    </section>
  );
}

function noSteps({ steps_too_large, finished }: Run): string {
  if (steps_too_large) return "This run has too many steps to show here. Status, questions, and output are complete.";
  return finished ? "The service returned no steps." : "No steps yet.";
}

interface Shared {
  trail: Answer[];
  now: number;
  scale: Scale;
  /** Whether the run has ended. */
  stopped: boolean;
  /** The agent of the enclosing step, which is not repeated. */
  root: string | null;
}

function Steps({ steps, ...shared }: Shared & { steps: Step[] }) {
  return (
    <ol class="steps">
      {steps.map((step, index) => (
        <OneStep key={step.id ?? index} step={step} {...shared} />
      ))}
    </ol>
  );
}

function OneStep({ step, ...shared }: Shared & { step: Step }) {
  const { now, scale, stopped, root, trail } = shared;
  const kind = kindOf(step, stopped);
  const until = step.completed_at ?? (stopped ? step.started_at : null);
  const who = step.type === "interrupt" ? answeredBy(step, trail) : step.agent !== root && step.agent;
  return (
    <li class={`step ${kind.name}${step.type === "interrupt" ? " asked" : ""}`}>
      <div class="row">
        <Icon name={kind.icon} />
        <div class="what">
          <span class="label" title={step.name ?? undefined}>
            {step.label}
          </span>
          <span class="hidden">, {kind.label}</span>
          {who && <span class="chip">{who}</span>}
          {step.artifacts > 0 && (
            <span class="chip plain">
              <Icon name="result" /> {step.artifacts}
            </span>
          )}
        </div>
        <div class="track" title={`${moment(step.started_at)} – ${step.completed_at ? moment(step.completed_at) : "now"}`}>
          {step.started_at && <div class="bar" style={place(Date.parse(step.started_at), until ? Date.parse(until) : now, scale)} />}
        </div>
        <span class="time">{stopped && !step.completed_at ? "" : inWords(elapsed(step.started_at, step.completed_at, now))}</span>
      </div>
      {step.steps.length > 0 && <Steps {...shared} steps={step.steps} root={step.agent} />}
    </li>
  );
}

function kindOf(step: Step, stopped: boolean): { name: string; label: string; icon: "check" | "cross" | "person" | "spin" | "dot" } {
  if (step.type === "error" || step.status === "error") return { name: "bad", label: "failed", icon: "cross" };
  if (step.status === "completed") {
    return step.type === "interrupt"
      ? { name: "good", label: "answered", icon: "person" }
      : { name: "good", label: "completed", icon: "check" };
  }
  if (stopped) return { name: "none", label: "not completed", icon: "dot" };
  if (step.type === "interrupt") return { name: "person", label: "waiting for a person", icon: "person" };
  return { name: "running", label: "running", icon: "spin" };
}

function answeredBy(step: Step, trail: Answer[]): string | null {
  if (step.resolution) return `${step.resolution.replaceAll("_", " ")} by account policy`;
  if (step.status !== "completed") return null;
  const answer = trail.find(({ label }) => label === step.label);
  if (answer?.by === "policy") return "the DAG's policy";
  if (answer?.by === "timeout") return "timeout";
  return answer?.who ?? "a person";
}

function place(from: number, to: number, scale: Scale): { left: string; width: string } {
  // A bar of no width stays visible at the right edge.
  const left = scale.at(from);
  return { left: `min(${left}%, 100% - 3px)`, width: `${Math.max(0, scale.at(to) - left)}%` };
}
