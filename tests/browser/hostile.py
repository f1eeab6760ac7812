# SPDX-License-Identifier: Apache-2.0
"""Agents whose text attacks the page that shows it, or is hard to show."""

from __future__ import annotations

from typing import Any

from airflow_provider_agentruns.emulator.script_steps import Ask, Case, ScriptBody, Work

#: Lines that a page must show unchanged.
MARKUP = (
    "# Approved by compliance",
    "Approved by the board\n=====================",
    "<script>window.hacked = 1; alert(1)</script>",
    "<img src=x onerror='window.hacked = 2; alert(2)'>",
    "<h1>Approved</h1><a href='https://evil.example/raw'>the registry</a>",
    "<svg onload=alert(3)><style>* { display: none }</style></svg>",
    "[Approve here](javascript:alert(4))",
    "[Approve there](https://evil.example/inline)",
    "![seal of approval](https://evil.example/seal.png)",
    "[reference]: https://evil.example/reference\n[reference]",
    "<javascript:alert(5)> <https://evil.example/angle>",
    "https://evil.example/auto www.evil.example/www evil@evil.example",
    "| Check | Result |\n| --- | --- |\n| Sanctions | passed |",
    "```\nwindow.hacked = 3\n```",
    "> Compliance: approved",
    "- [x] sanctions\n- [x] owners\n1. one\n2) two",
    "Trust me[^1]\n\n[^1]: approved",
    "~~not~~ **approved** _today_ `code`",
    "{{ 7*7 }} {% raw %}${7*7}{% endraw %} {{ window.hacked }}",
    "&lt;script&gt;alert(6)&lt;/script&gt; &#106;avascript",
    "---",
)

#: Text with invisible or reordering characters, and how a page must show it.
MADE_VISIBLE = {
    "not \u202edevorppa\u202c \u2067yet\u2069": "not devorppa yet",
    "not\u200b yet\u00ad approved\U000e0041": "not yet approved",
    "    an indented block": "an indented block",
}

#: A word that offers no line break.
UNBROKEN = "0123456789abcdef" * 5

#: The address of a source without a name, wider than a phone.
LONG_ADDRESS = f"https://registry.example.com/filings/{UNBROKEN}"

#: The label of the form's field.
TITLE = "Why <script>window.hacked = 4</script> [x](https://evil.example/title)"


def hostile(case: Case) -> ScriptBody:
    """Ask a question that is full of markup."""
    yield Work(0.1, "read_page", "Reads the business's page")
    everything = "\n\n".join((*MARKUP, *MADE_VISIBLE))
    page: dict[str, Any] = {
        "title": f"# Page </h3> {MARKUP[2]}",
        "type": "<b>page</b>",
        "confidence": "high** [x](javascript:alert(7))",
        "summary": everything,
        "sources": [
            {"url": "javascript:alert(8)", "source_name": "The page"},
            {"url": "data:text/html,<script>alert(9)</script>", "source_name": MARKUP[3]},
            {"url": "https://user@evil.example/", "source_name": "registry.example.com"},
            "javascript:alert(10)",
            f"javascript:{UNBROKEN}",
            LONG_ADDRESS,
        ],
        "# heading </li>": everything,
        "digest": UNBROKEN,
        UNBROKEN: [{UNBROKEN: [UNBROKEN]}],
        "rows": [{"a|b": "c|d", "<td>": "\n# forged\n"}],
        "long": "approve " * 12_500,
    }
    note = {"type": "string", "title": TITLE, "description": f"{MARKUP[3]} {MARKUP[6]}", "default": "{{ 7*7 }}"}
    [answer] = yield Ask(
        [
            {
                "agent": "agent\n# forged",
                "label": everything,
                "artifacts": [page],
                "<hr>": list(MARKUP),
                "input_schema": {"type": "object", "properties": {"note": note}},
            }
        ]
    )
    return [{"title": "What a person said", "type": "report", "answer": answer}]
