// SPDX-License-Identifier: Apache-2.0
// What stands in the way, and what there is to do about it.

import type { ComponentChildren } from "preact";

import type { Failure } from "../live";
import { Icon } from "./Icon";

const WORDS: Record<Failure, string> = {
  "logged out": "You are logged out. Reload Airflow to log in again.",
  refused: "You may not see this any more.",
  "not found": "Airflow does not know this task instance any more.",
  failed: "Airflow cannot be reached. This page tries again by itself.",
};

interface Props {
  title: string;
  again?: () => void;
  children?: ComponentChildren;
}

export function Notice({ title, again, children }: Props) {
  return (
    <div class="notice" role="alert">
      <div>
        <strong>{title}</strong>
        {children && <p>{children}</p>}
      </div>
      {again && (
        <button type="button" onClick={again}>
          <Icon name="again" /> Try again
        </button>
      )}
    </div>
  );
}

export function FailureNotice({ failure, again }: { failure: Failure | null; again: () => void }) {
  if (failure === null) return null;
  return <Notice title={WORDS[failure]} again={failure === "refused" ? undefined : again} />;
}
