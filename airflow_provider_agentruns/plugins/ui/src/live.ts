// SPDX-License-Identifier: Apache-2.0
// Asks the server again and again, as long as that makes sense and somebody looks.

import { useEffect, useRef, useState } from "preact/hooks";

import type { Asked } from "./types";

const LONGEST_PAUSE = 60;

export type Failure = "logged out" | "refused" | "not found" | "failed";

export interface Live<T> {
  data: T | null;
  /** When the data came, by this machine's clock, in milliseconds since 1970. */
  at: number;
  /** Why the last try failed, where it did. */
  failure: Failure | null;
  again: () => void;
}

export function useLive<T extends Asked>(url: string): Live<T> {
  const [state, setState] = useState<Omit<Live<T>, "again">>({ data: null, at: 0, failure: null });
  const ask = useRef(() => {});

  useEffect(() => {
    let timer = 0;
    let failures = 0;
    let next: number | null = 0;
    const stop = new AbortController();
    const schedule = () => {
      clearTimeout(timer);
      if (next !== null && !document.hidden) timer = window.setTimeout(look, Math.max(0, next - Date.now()));
    };
    const look = async () => {
      const found = await read<T>(url, stop.signal);
      if (stop.signal.aborted) return;
      if (typeof found === "string") {
        failures += 1;
        setState((before) => ({ ...before, failure: found }));
        const pause = Math.min(LONGEST_PAUSE, 2.5 * 2 ** failures);
        next = found === "failed" ? Date.now() + 1000 * pause : null;
      } else {
        failures = 0;
        setState({ data: found, at: Date.now(), failure: null });
        next = found.ask_again_after === null ? null : Date.now() + 1000 * found.ask_again_after;
      }
      schedule();
    };
    ask.current = () => {
      next = Date.now();
      schedule();
    };
    schedule();
    document.addEventListener("visibilitychange", schedule);
    return () => {
      stop.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", schedule);
    };
  }, [url]);

  return { ...state, again: () => ask.current() };
}

async function read<T>(url: string, signal: AbortSignal): Promise<T | Failure> {
  try {
    const answer = await fetch(url, { signal, headers: { Accept: "application/json" } });
    if (answer.ok) return (await answer.json()) as T;
    if (answer.status === 401) return "logged out";
    if (answer.status === 403) return "refused";
    return answer.status === 404 ? "not found" : "failed";
  } catch {
    // Airflow itself cannot be reached.
    return "failed";
  }
}
