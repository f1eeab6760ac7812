# SPDX-License-Identifier: Apache-2.0
"""An agent's text has no effect in Markdown, hides nothing, and reads as it was written."""

from __future__ import annotations

import html
import random

import pytest

from airflow_provider_agentruns.reviews.text import (
    CUT,
    clean,
    escape_markdown,
    escape_markdown_lines,
    link,
    plain,
    plain_for_messages,
    safe_url,
)
from tests.reviews.rendering import kinds, links, shown

ALL = 10_000
PARAGRAPH = ["paragraph_open", "paragraph_close"]

HOSTILE = [
    *("# h", "###### h ##", "a\n===", "a\n---", "***", "- - -", "_ _ _", "* i", "+ i", "- i", "- [ ] t", "[x] t"),
    *("1. one", "1) one", "999999999. x", "> quote", "    code", "\tcode", "```js\nx\n```", "~~~\nx\n~~~"),
    *("`c`", "``a`b``"),
    *("*em* **strong** ***both***", "_em_ __strong__", "~del~ ~~del~~", "<b>x</b>", "<script>alert(1)</script>"),
    *("<!-- c -->", "<?php ?>", "<!DOCTYPE x>", "<![CDATA[x]]>", "<https://evil.example>", "<a@b.co>"),
    *("&lt;b&gt; &amp; &#35; &#x41; &copy;", "\\# \\* \\\\ \\", "a\\\nb", "a  \nb", "[a](http://evil.example)"),
    *("[a]: //evil.co\n\n[a] [a][] [x][a]", "![i](http://evil.example/x.png)", "![i][a]", "[^1]"),
    *("[^1]: note\n\n[^1]", "| a | b |\n| - | - |\n| 1 | 2 |", "a | b\n- | -\n1 | 2", "a\n:-", "a\n:-:", "|a|\n|-|"),
    *("https://evil.example/x?y=1", "HTTPS://EVIL.EXAMPLE", "(www.evil.example)", "WWW.evil.example/path"),
    *("www.", "www", "-5", "+5", "=5", "1", "1."),
    *("foo@evil.example", "mailto:foo@evil.example", "xmpp:foo@evil.example/x", "_a_@evil.example", "a@b@c.de"),
    *("https:\\/\\/evil.example", "https&colon;//evil.example", "https:\u200b//evil.example"),
    *("htt\u2060ps://evil.example", "www\u200b.evil.example"),
    *("~~www.a.b~~", "**https://a.b**", "http://a.b/*c*_d_`e`", "a\u2028# h", "a\x85# h", "a\x0b# h"),
    *("a\r# h", "a\r\n- x", "\ufeff# h", "\u200b- x", "\u200d# h", "\u0301# h", "a\n\n    b"),
    "* * *\n\n# x\n\n\n\n> y",
]  # fmt: skip

PIECES = [
    *"\\`*_{}[]()<>#+-.!|~=&^:@$%\"',;/?ab1wWx",
    *("\n", "\n\n", " ", "  ", "\t", "2.", "www.", "https://", "a.b", "x@y.zz", "//", "&amp;", "&#42;"),
    *("![", "](", "]:", "[^", "```", "~~", "---", "===", "- ", "1) ", "<a>", "</a>", "<!--", "-->"),
    *("\r", "\u2028", "mailto:", "xmpp:"),
    *("\u200d", "\u0301", "\u05d0", "\u202e", "\u2060", "é", "漢", "😀"),
]  # fmt: skip


def random_texts(count: int) -> list[str]:
    """Return texts made of what has a meaning in Markdown, the same in each test run."""
    chance = random.Random(20417)  # noqa: S311
    return ["".join(chance.choice(PIECES) for _ in range(chance.randint(1, 24))) for _ in range(count)]


TEXTS = [*HOSTILE, *random_texts(300)]


def one_line(text: str) -> str:
    return " ".join(clean(text).split())


def block(text: str, limit: int = ALL) -> str:
    return "\n".join(escape_markdown_lines(text, limit))


def test_text_is_only_text() -> None:
    for text in TEXTS:
        for markdown, paragraphs in (
            (escape_markdown(text, ALL), [one_line(text)]),
            (block(text), clean(text).split("\n\n")),
        ):
            assert kinds(markdown) == PARAGRAPH * len(list(filter(None, paragraphs))), text
            assert shown(markdown) == one_line(text), text
            assert links(markdown) == [], text
            # Harmless in HTML, too, where a notifier can put it.
            assert not set(markdown) & {"<", ">"}, text


@pytest.mark.parametrize(
    ("template", "reference"),
    [
        ("- **{}:** {}", "- **k:** v"),
        ("## {}\n\n1. - **k:** {}", "## k\n\n1. - **k:** v"),
        ("[{}](https://ok.example/) ({})", "[k](https://ok.example/) (v)"),
    ],
)
def test_text_does_not_change_markup_around_it(template: str, reference: str) -> None:
    for text in filter(one_line, TEXTS):
        markdown = template.format(escape_markdown(text, ALL), escape_markdown(text, ALL))
        assert kinds(markdown) == kinds(reference), text
        quoted = kinds("\n".join(f"> {line}" for line in escape_markdown_lines(text, ALL)))
        assert (quoted[0], quoted[-1]) == ("blockquote_open", "blockquote_close"), text
        assert set(quoted[1:-1]) == set(PARAGRAPH), text


def test_ordinary_text_is_not_escaped() -> None:
    for text in ("Moved to 17 Harbor Street, Suite 4", "R. Alvarez (since 2019)!", "it's 3-4% + 2 = ok; {x}"):
        assert escape_markdown(text, ALL) == text
    assert block("one\ntwo\n \n\n\nthree") == "one  \ntwo\n\nthree"


@pytest.mark.parametrize(
    "invisible", [*"\u200e\u061c\u202e\u2066\u2069\u200b\u2060\ufeff\xad\U000e0041\u3164\x00\x1b\x9f"]
)
def test_invisible_characters_are_removed(invisible: str) -> None:
    assert clean(f"{invisible}pass{invisible}ed{invisible}") == "passed"


def test_clean_keeps_scripts_and_emoji_and_nothing_that_misleads() -> None:
    for text in ("می‌خواهم", "क्‍ष", "👨‍👩‍👧", "❤️", "שָׁלוֹם", "مرحبا ١٢", "e\u0301", "Ủy ban", "漢字"):
        assert clean(text) == text
        assert shown(escape_markdown(text, ALL)) == text
    for text in ("", " \n\t", "\u200b\u200d\ufe0f", "\u3164\u2800\u00a0", "\u0301\u0301"):
        assert clean(text) == escape_markdown(text, ALL) == ""
    assert clean("a\ud800b\udfff") == "a\ufffdb\ufffd"
    assert clean("a" + "\u0301" * 500 + "b") == "a" + "\u0301" * 8 + "b"
    assert len(clean("a" + "\u0301\u200d\u200b" * 500)) == 9


def test_long_text_is_cut_and_marked() -> None:
    assert escape_markdown("a" * 1_500, 100) == "a" * 100 + CUT
    assert escape_markdown("*" * 15, 10) == "\\*" * 10 + CUT
    assert escape_markdown("a" * 100, 100) == "a" * 100
    assert block("a\n" * 30, 10).endswith(CUT)
    assert plain("a" * 161, 160) == "a" * 159 + "…"
    assert plain("a" * 160, 160) == "a" * 160


def test_plain_text_for_messages_has_no_effect_in_html_and_slack() -> None:
    for text in TEXTS:
        line = plain_for_messages(text, ALL)
        assert not set(line) & set("<>*`~|\n\r\x1b"), text
        assert links(line) == [], text
        assert html.unescape(line) == line, text
    assert plain_for_messages("<!channel> *a* `c` ~d~ <b>", ALL) == "‹!channel› ∗a∗ ˋcˋ ∼d∼ ‹b›"  # noqa: RUF001
    for text in ("Is this correct?", "Smith & Sons (first_name)", "50% / 3.5 - ok!"):
        assert plain_for_messages(text, ALL) == text


def test_a_link_shows_where_it_leads() -> None:
    url = "https://registry.example.com/filings/20417"
    for label in ("State registry", "https://bank.example", "bank.example/registry"):
        assert shown(link(label, url)) == f"{label} (registry.example.com)"
        assert links(link(label, url)) == [url]
    assert link("", url) == f"[registry.example.com]({url})"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://ok.example", "https://ok.example/"),
        (" HTTP://OK.example:8080/a b?c=d e#f g ", "http://ok.example:8080/a%20b?c=d%20e#f%20g"),
        ("https://ok.example/\"'<>`\\|[]{}^", "https://ok.example/%22%27%3C%3E%60%5C%7C%5B%5D%7B%7D%5E"),
        ("https://ok.example/a%20b%2Fc%zz%", "https://ok.example/a%20b%2Fc%25zz%25"),
        ("https://ok.example/a\n\n# h", "https://ok.example/a#%20h"),
        ("https://ok.example/ü\u202e", "https://ok.example/%C3%BC%E2%80%AE"),
        ("https://münchen.example/", "https://xn--mnchen-3ya.example/"),
        ("https://\u0430pple.example/", "https://xn--pple-43d.example/"),
        ("https://ok.example?@evil.example", "https://ok.example/?@evil.example"),
        ("http://127.0.0.1:8400/x", "http://127.0.0.1:8400/x"),
    ],
)
def test_addresses_are_encoded(url: str, address: str) -> None:
    assert safe_url(url) == address
    assert links(link("x", url)) == [address]


@pytest.mark.parametrize(
    "url",
    [
        *("", "x", "JavaScript:alert(1)//https://ok.example", "data:text/html,x", "ftp://ok.example"),
        *("//ok.example/x", "https:///x", "https://", "https:/ok.example", "https:\\\\ok.example", "mailto:a@b.co"),
        *("https://user:pw@ok.example/", "https://@ok.example/", "https://ok.example\\@evil.example/"),
        *("https://evil.example\\.ok.example/", "https://ok.example%2eevil.example/", "https://ok .example/"),
        *("https://ok.example:99999/", "https://a..b/", "https://[::1]/", "https://[::1%25eth0]/", "https://[x"),
        *("http://2130706433/", "http://127.1/", "http://0x7f.1/", "http://0177.0.0.1/", "https://℀.example"),
        *("https://" + "a" * 300 + ".example", "https://ok.example/" + "a" * 3_000, "https://\ud800.example"),
        *("https://ok.example/\ud800", "https://ok.example/" + "ü" * 1_000),
    ],
)
def test_unsafe_addresses_are_text(url: str) -> None:
    assert safe_url(url) == ""
    assert links(link("State registry", url)) == []
    assert shown(link("State registry", url)).startswith(f"State registry {one_line(url)[:100]}".strip())


def test_no_address_and_no_label_leaves_a_link() -> None:
    reference = kinds("- [x](https://ok.example/) (ok.example)")
    for text in TEXTS:
        url = f"https://ok.example/{text}"
        for label in ("State registry", text):
            markdown = f"- {link(label, url)}"
            assert kinds(markdown) == reference, text
            [address] = links(markdown)
            assert address == safe_url(url).replace("(", "%28").replace(")", "%29"), text
            assert address.isascii(), text
            assert not set(markdown) & {"<", ">"}, text
