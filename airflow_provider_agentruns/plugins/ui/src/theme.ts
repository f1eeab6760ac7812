// SPDX-License-Identifier: Apache-2.0
// Airflow's colours and its dark mode, where the page is inside of Airflow; else what the reader's machine prefers.

// Our name for a colour, and Airflow's. What is not there keeps what base.css says.
const COLOURS: Record<string, string> = {
  "--bg": "bg",
  "--bg-subtle": "bg-subtle",
  "--bg-muted": "bg-muted",
  "--fg": "fg",
  "--fg-muted": "fg-muted",
  "--border": "border",
  "--border-strong": "border-emphasized",
};

/** Airflow's document, or null where this page is not inside of it. */
export function airflowDocument(): Document | null {
  try {
    return window.parent === window ? null : window.parent.document;
  } catch {
    // Somebody else's page, which the policy of this one would not have allowed.
    return null;
  }
}

export function followTheme(): void {
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const airflow = airflowDocument()?.documentElement;
  const apply = () => {
    const named = airflow && ["dark", "light"].find((name) => airflow.classList.contains(name));
    const dark = named ? named === "dark" : prefersDark.matches;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    if (named) takeColours(airflow);
  };
  apply();
  prefersDark.addEventListener("change", apply);
  if (airflow) new MutationObserver(apply).observe(airflow, { attributes: true, attributeFilter: ["class"] });
}

function takeColours(airflow: HTMLElement): void {
  const theirs = getComputedStyle(airflow);
  for (const [ours, name] of Object.entries(COLOURS)) {
    const value = theirs.getPropertyValue(`--chakra-colors-${name}`).trim();
    if (value) document.documentElement.style.setProperty(ours, value);
  }
}
