// SPDX-License-Identifier: Apache-2.0
// Icons. They only repeat what the text next to them says.

const PATHS = {
  check: <path d="M5 12.5l4.5 4.5L19 7.5" />,
  cross: <path d="M6 6l12 12M18 6L6 18" />,
  dot: <circle cx="12" cy="12" r="4" fill="currentColor" />,
  person: <path d="M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.5c1-4 4-5.5 7.5-5.5s6.5 1.500 7.500 5.500" />,
  spin: <path d="M12 3.500a8.500 8.500 0 1 1-8.500 8.500" />,
  out: <path d="M9 5H5v14h14v-4M13 5h6v6M19 5l-9 9" />,
  retry: <path d="M19.500 12a7.500 7.500 0 1 1-2.200-5.300M19.500 3.500v4.500H15" />,
  result: <path d="M6 3.500h8l4.500 4.500v12.500H6zM14 3.500V8h4.500" />,
};

export function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg class={`icon ${name}`} viewBox="0 0 24 24" aria-hidden="true">
      {PATHS[name]}
    </svg>
  );
}
