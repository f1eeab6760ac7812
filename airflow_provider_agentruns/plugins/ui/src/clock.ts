// SPDX-License-Identifier: Apache-2.0
// Time between two requests, by the server's clock. The reader's clock may be wrong.

import { useEffect, useState } from "preact/hooks";

/** The server's time in milliseconds since 1970. It advances while something is running. */
export function useServerTime(now: string | undefined, at: number, running: boolean): number {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => document.hidden || tick((count) => count + 1), 1000);
    return () => clearInterval(timer);
  }, [running]);
  if (now === undefined) return Date.now();
  return Date.parse(now) + (running ? Date.now() - at : 0);
}

/** The duration of something, in milliseconds; until now if it has not ended. */
export function elapsed(from: string | null, to: string | null, now: number): number | null {
  if (from === null) return null;
  return Math.max(0, (to === null ? now : Date.parse(to)) - Date.parse(from));
}

export function inWords(milliseconds: number | null): string {
  if (milliseconds === null) return "";
  const seconds = milliseconds / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const [s, m, h] = [Math.round(seconds), Math.floor(Math.round(seconds) / 60), Math.floor(seconds / 3600)];
  if (s < 60) return `${s} s`;
  if (h < 1) return `${m} min ${pad(s % 60)} s`;
  return h < 48 ? `${h} h ${pad(m % 60)} min` : `${Math.floor(h / 24)} d ${h % 24} h`;
}

/** A time in the time zone selected in Airflow. */
export function moment(iso: string | null): string {
  const date = iso === null ? null : new Date(iso);
  return date === null || Number.isNaN(date.getTime()) ? "" : format().format(date);
}

function format(): Intl.DateTimeFormat {
  // Swedish dates look like ISO 8601.
  const write = (timeZone?: string) => new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium", timeZone });
  try {
    // Airflow stores the time zone here, as JSON.
    return write(JSON.parse(localStorage.getItem("timezone") ?? "null") ?? undefined);
  } catch {
    // Storage is blocked, or the time zone does not exist.
    return write();
  }
}

function pad(number: number): string {
  return String(number).padStart(2, "0");
}
