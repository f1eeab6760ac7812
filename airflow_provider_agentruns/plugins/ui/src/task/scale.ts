// SPDX-License-Identifier: Apache-2.0
// The horizontal scale of the timeline. A run works for seconds and may wait for a person for days, so waiting takes
// at most half of the width.

import type { Run, Step } from "../types";

/** The maximum share of the width for all waiting. With half, a long wait gets a bar at least as long as all work. */
const WAITING = 0.5;

interface Span {
  from: number;
  to: number;
}

export interface Scale {
  /** Converts milliseconds since 1970 to a percentage of the width. */
  at: (moment: number) => number;
  /** Whether waiting takes less of the width than its duration. */
  shortened: boolean;
}

export function scaleOf(run: Run, now: number): Scale {
  const end = run.finished ? Date.parse(run.ended_at ?? "") : now;
  const steps = all(run.steps);
  const moments = steps.flatMap(({ started_at, completed_at }) => [started_at, completed_at]).map((at) => Date.parse(at ?? ""));
  const known = [Date.parse(run.started_at ?? ""), end, ...moments].filter((at) => !Number.isNaN(at));
  if (known.length === 0) return { at: () => 0, shortened: false };
  const whole = { from: Math.min(...known), to: Math.max(...known) };

  const waits = between(whole, union(steps.filter(isWork).map((step) => spanOf(step, whole.to)))).filter(({ from, to }) =>
    steps.some((step) => step.type === "interrupt" && overlap(spanOf(step, whole.to), { from, to }) > 0),
  );
  const waited = sum(waits);
  const worked = whole.to - whole.from - waited;
  // The scale is linear if the run waited less than that.
  const slow = worked > 0 && waited > 0 ? Math.min(1, (worked * WAITING) / (1 - WAITING) / waited) : 1;
  const width = worked + waited * slow || 1;
  const at = (moment: number) => {
    const until = { from: whole.from, to: Math.min(whole.to, Math.max(whole.from, moment)) };
    const idle = waits.reduce((total, wait) => total + overlap(wait, until), 0);
    return (100 * (until.to - until.from - idle * (1 - slow))) / width;
  };
  return { at, shortened: slow < 1 };
}

function all(steps: Step[]): Step[] {
  return steps.flatMap((step) => [step, ...all(step.steps)]);
}

function isWork({ type, steps }: Step): boolean {
  return type !== "interrupt" && !all(steps).some((inside) => inside.type === "interrupt");
}

function spanOf({ started_at, completed_at }: Step, end: number): Span {
  return { from: Date.parse(started_at ?? "") || end, to: Date.parse(completed_at ?? "") || end };
}

function union(spans: Span[]): Span[] {
  const joined: Span[] = [];
  for (const { from, to } of [...spans].sort((a, b) => a.from - b.from)) {
    const last = joined.at(-1);
    if (last && from <= last.to) last.to = Math.max(last.to, to);
    else joined.push({ from, to });
  }
  return joined;
}

/** The gaps between sorted spans. */
function between(whole: Span, spans: Span[]): Span[] {
  const edges = [whole.from, ...spans.flatMap(({ from, to }) => [from, to]), whole.to];
  const gaps: Span[] = [];
  for (let i = 0; i < edges.length; i += 2) gaps.push({ from: edges[i] ?? 0, to: edges[i + 1] ?? 0 });
  return gaps.filter(({ from, to }) => to > from);
}

function overlap(a: Span, b: Span): number {
  return Math.max(0, Math.min(a.to, b.to) - Math.max(a.from, b.from));
}

function sum(spans: Span[]): number {
  return spans.reduce((total, { from, to }) => total + to - from, 0);
}
