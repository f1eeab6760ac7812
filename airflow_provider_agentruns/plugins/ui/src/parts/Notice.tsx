// SPDX-License-Identifier: Apache-2.0
// Error messages, with a button if a retry can help.

import type { ComponentChildren } from "preact";

import type { Failure } from "../live";
import { Icon } from "./Icon";

const MESSAGES: Record<Failure, string> = {
  "logged out": "You are logged out. Reload Airflow to log in again.",
  forbidden: "You no longer have access to this page.",
  "not found": "This task instance no longer exists.",
  failed: "Airflow is unreachable. Retrying shortly.",
};

interface Props {
  title: string;
  retry?: () => void;
  children?: ComponentChildren;
}

export function Notice({ title, retry, children }: Props) {
  return (
    <div class="notice" role="alert">
      <div>
        <strong>{title}</strong>
        {children && <p>{children}</p>}
      </div>
      {retry && (
        <button type="button" onClick={retry}>
          <Icon name="retry" /> Try again
        </button>
      )}
    </div>
  );
}

export function FailureNotice({ failure, retry }: { failure: Failure | null; retry: () => void }) {
  if (failure === null) return null;
  return <Notice title={MESSAGES[failure]} retry={failure === "forbidden" ? undefined : retry} />;
}
