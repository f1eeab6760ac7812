# SPDX-License-Identifier: Apache-2.0
"""The documentation builds without a warning, and needs no network to be read."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT

pytestmark = pytest.mark.full

for module in ("sphinx", "myst_parser", "furo"):
    pytest.importorskip(module, reason="the dependency group docs is not installed")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", folder / "trees", "docs", folder / "html"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


def test_nothing_comes_from_another_host(built: Path) -> None:
    """Links may lead to other hosts; scripts, styles, fonts, and images may not."""
    for page in built.rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|source|iframe)[^>]*\bsrc=\"([^\"]+)\"", page.read_text())
        loaded += re.findall(r"<link[^>]*\brel=\"(?:stylesheet|preload|icon)[^>]*\bhref=\"([^\"]+)\"", page.read_text())
        assert not [address for address in loaded if re.match(r"(https?:)?//", address)], page
    for style in built.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", style.read_text()), style


def test_the_reference_contains_what_is_generated_from_the_code(built: Path) -> None:
    expected = {
        "connection-fields": ["extra.rate_limit", "extra.webhook_secret", "API token"],
        "command-line": ["--port", "--list-faults", "8400"],
        "fault-effects": ["answer lost", "run operator, blocking"],
        "faults": ["answer lost", "listing lags", "retry_after=1"],
        "models": ["raw_output", "interrupts", "list[Artifact]"],
        "operators": ["on_interrupt", "review_rounds", "deferrable"],
    }
    for page, words in expected.items():
        text = re.sub(r"<[^>]+>", "", (built / "reference" / f"{page}.html").read_text())
        for word in words:
            assert word in text, f"{word} in {page}"


#: Executes the search of the built pages, and prints the path of the first result of each query.
_SEARCH = """
const [static_, index, ...queries] = process.argv.slice(1);
const read = (path) => require("fs").readFileSync(path, "utf8");
globalThis.window = globalThis;
globalThis.document = {addEventListener() {}, getElementById() { return null; }};
globalThis.localStorage = {setItem() {}};
globalThis._ = (text) => text;
globalThis._ready = () => {};
globalThis.SPHINX_HIGHLIGHT_ENABLED = false;
const scripts = ["language_data.js", "searchtools.js"].map((name) => read(static_ + "/" + name));
const load = new Function([...scripts, "return Search;"].join("\\n;"));
const Search = load();
globalThis.Search = Search;
new Function(read(index))();
const first = (query) => {
  const [, , anchor, , , file] = Search._performSearch(...Search._parseQuery(query)).pop();
  return file + anchor;
};
console.log(JSON.stringify(queries.map(first)));
"""


def test_a_search_finds_the_answer_first(built: Path) -> None:
    if (node := shutil.which("node")) is None:
        pytest.skip("Node is not installed")
    answers = {
        "Kubernetes": "how-to/deployment.md",
        "5,000": "how-to/scaling.md",
        "stuck": "how-to/troubleshooting.md",
        "secrets backend": "how-to/connection.md",
        "reviewers": "how-to/reviews.md",
    }
    done = subprocess.run(
        [node, "-e", _SEARCH, "--", built / "_static", built / "searchindex.js", *answers],
        capture_output=True,
        text=True,
        check=True,
    )
    found = [path.partition("#")[0] for path in json.loads(done.stdout)]
    assert dict(zip(answers, found, strict=True)) == answers
