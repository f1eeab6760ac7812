// SPDX-License-Identifier: Apache-2.0
// Airflow's colors and dark mode if the page is embedded in Airflow; otherwise the preference of the reader's system.

// CSS variables, and Airflow's names for the same colors. base.css has the defaults.
const COLORS: Record<string, string> = {
  "--bg": "bg",
  "--bg-muted": "bg-muted",
  "--fg": "fg",
  "--fg-muted": "fg-muted",
  "--border": "border",
  "--border-strong": "border-emphasized",
};

/** Airflow's document, or null if the page is not embedded in it. */
export function airflowDocument(): Document | null {
  try {
    return window.parent === window ? null : window.parent.document;
  } catch {
    // Embedded in another site, which the Content-Security-Policy forbids.
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
    if (named) copyColors(airflow);
  };
  apply();
  prefersDark.addEventListener("change", apply);
  if (airflow) new MutationObserver(apply).observe(airflow, { attributes: true, attributeFilter: ["class"] });
}

function copyColors(airflow: HTMLElement): void {
  const styles = getComputedStyle(airflow);
  for (const [variable, name] of Object.entries(COLORS)) {
    const value = styles.getPropertyValue(`--chakra-colors-${name}`).trim();
    if (value) document.documentElement.style.setProperty(variable, value);
  }
}
