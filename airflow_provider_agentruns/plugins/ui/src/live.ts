// SPDX-License-Identifier: Apache-2.0
// Requests data repeatedly, while it can change and the page is visible.

import { useEffect, useRef, useState } from "preact/hooks";

import type { Refreshed } from "./types";

const MAX_PAUSE = 60;

export type Failure = "logged out" | "forbidden" | "not found" | "failed";

export interface Live<T> {
  data: T | null;
  /** When the data arrived, by the reader's clock, in milliseconds since 1970. */
  at: number;
  /** Why the last request failed, if it did. */
  failure: Failure | null;
  retry: () => void;
}

export function useLive<T extends Refreshed>(url: string): Live<T> {
  const [state, setState] = useState<Omit<Live<T>, "retry">>({ data: null, at: 0, failure: null });
  const request = useRef(() => {});

  useEffect(() => {
    let timer = 0;
    let failures = 0;
    let next: number | null = 0;
    const stop = new AbortController();
    const schedule = () => {
      clearTimeout(timer);
      if (next !== null && !document.hidden) timer = window.setTimeout(load, Math.max(0, next - Date.now()));
    };
    const load = async () => {
      const result = await read<T>(url, stop.signal);
      if (stop.signal.aborted) return;
      if (typeof result === "string") {
        failures += 1;
        setState((before) => ({ ...before, failure: result }));
        const pause = Math.min(MAX_PAUSE, 2.5 * 2 ** failures);
        next = result === "failed" ? Date.now() + 1000 * pause : null;
      } else {
        failures = 0;
        setState({ data: result, at: Date.now(), failure: null });
        next = result.refresh_after === null ? null : Date.now() + 1000 * result.refresh_after;
      }
      schedule();
    };
    request.current = () => {
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

  return { ...state, retry: () => request.current() };
}

async function read<T>(url: string, signal: AbortSignal): Promise<T | Failure> {
  try {
    const response = await fetch(url, { signal, headers: { Accept: "application/json" } });
    if (response.ok) return (await response.json()) as T;
    if (response.status === 401) return "logged out";
    if (response.status === 403) return "forbidden";
    return response.status === 404 ? "not found" : "failed";
  } catch {
    // Airflow is unreachable.
    return "failed";
  }
}
