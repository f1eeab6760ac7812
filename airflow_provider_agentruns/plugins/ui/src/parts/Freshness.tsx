// SPDX-License-Identifier: Apache-2.0
// How old what is shown is, and whether it changes by itself.

import { inWords } from "../clock";

export function Freshness({ live, age }: { live: boolean; age: number | null }) {
  const old = age !== null && age > 15;
  if (!live) return null;
  return (
    <span class={`freshness${old ? " old" : ""}`} title="This page looks again every few seconds, while it is open">
      <span class="pulse" aria-hidden="true" />
      {old ? `As of ${inWords(age * 1000)} ago` : "Live"}
    </span>
  );
}
