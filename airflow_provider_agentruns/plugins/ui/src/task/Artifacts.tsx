// SPDX-License-Identifier: Apache-2.0
// The artifacts of a run, as cards.

import { Icon } from "../parts/Icon";
import { OutsideLink } from "../parts/links";
import type { Artifact, Source } from "../types";

export function Artifacts({ artifacts, more }: { artifacts: Artifact[]; more: number }) {
  if (artifacts.length === 0) return null;
  return (
    <section aria-labelledby="artifacts">
      <h2 id="artifacts">Output</h2>
      <div class="cards">
        {artifacts.map((artifact, index) => (
          <Card key={index} artifact={artifact} />
        ))}
      </div>
      {more > 0 && <p class="quiet">and {more} more</p>}
    </section>
  );
}

function Card({ artifact }: { artifact: Artifact }) {
  const { title, type, confidence, agent, summary, sources, more_sources, details } = artifact;
  return (
    <article class="card">
      <h3>{title}</h3>
      <p class="chips">
        {confidence && <span class={`chip confidence ${levelOf(confidence)}`}>{confidence} confidence</span>}
        {type && <span class="chip plain">{type}</span>}
        {agent && <span class="chip plain">{agent}</span>}
      </p>
      {summary && <p class="summary">{summary}</p>}
      {sources.length > 0 && (
        <ul class="sources" aria-label="Sources">
          {sources.map((source, index) => (
            <li key={index}>
              <SourceLink source={source} />
            </li>
          ))}
          {more_sources > 0 && <li class="quiet">and {more_sources} more</li>}
        </ul>
      )}
      {details && (
        <details>
          <summary>Other fields</summary>
          <pre tabIndex={0}>{details}</pre>
        </details>
      )}
    </article>
  );
}

function SourceLink({ source: { name, url, host, tier, kind } }: { source: Source }) {
  const about = [host !== name && host, tier, kind].filter(Boolean).join(" · ");
  return (
    <>
      {url ? (
        <OutsideLink href={url} title={url}>
          {name}
          <Icon name="out" />
        </OutsideLink>
      ) : (
        <span>{name}</span>
      )}
      {about && <span class="quiet"> {about}</span>}
    </>
  );
}

function levelOf(confidence: string): string {
  const level = confidence.toLowerCase();
  return ["high", "medium", "low"].includes(level) ? level : "";
}
