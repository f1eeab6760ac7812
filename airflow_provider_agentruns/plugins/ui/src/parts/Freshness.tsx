// SPDX-License-Identifier: Apache-2.0
// The age of the data, and whether it is refreshed.

import { inWords } from "../clock";

export function Freshness({ live, age }: { live: boolean; age: number | null }) {
  const old = age !== null && age > 15;
  if (!live) return null;
  return (
    <span class={`freshness${old ? " old" : ""}`} title="Refreshed every few seconds while this page is visible">
      <span class="pulse" aria-hidden="true" />
      {old ? `As of ${inWords(age * 1000)} ago` : "Live"}
    </span>
  );
}
