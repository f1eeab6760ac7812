# SPDX-License-Identifier: Apache-2.0
"""The package's pages in a browser, and checks of their layout and accessibility."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import airflow_provider_agentruns.plugins
from tests.browser.pages import Browser, Scheme

SCHEMES: tuple[Scheme, ...] = ("light", "dark")

_AXE = Path(airflow_provider_agentruns.plugins.__path__[0]) / "ui" / "node_modules" / "axe-core" / "axe.min.js"

_OVERLAPPING = """
    // Text for screen readers only is in an element of one pixel.
    const unseen = element => element && (element.getBoundingClientRect().width <= 1 || unseen(element.parentElement));
    const texts = [...document.querySelectorAll('main *')].filter(element =>
        element.checkVisibility() && !unseen(element)
        && [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()));
    const found = [];
    for (const [index, one] of texts.entries()) for (const other of texts.slice(index + 1)) {
        if (one.contains(other) || other.contains(one)) continue;
        // Compare lines, because an inline element is as wide as all its lines.
        const overlap = [...one.getClientRects()].some(a => [...other.getClientRects()].some(b =>
            Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
            && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4));
        if (overlap) found.push(`${one.textContent.slice(0, 60)} | ${other.textContent.slice(0, 60)}`);
    }
    return found;
"""

_FAULTS = """
    const done = arguments[0];
    axe.run(document, {resultTypes: ['violations']}).then(
        result => done(result.violations.map(fault => [fault.impact, fault.id, fault.nodes[0].html.slice(0, 200)])),
        error => done([['critical', String(error), '']]));
"""


class AgentRunPages:
    """The pages in a browser."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        # Airflow logs every visitor in.
        browser.driver.get(f"{browser.url}/")
        browser.wait(lambda: browser.all("nav, [data-testid='nav-sidebar']"))

    def open_task(self, dag_id: str, dag_run: str, task_id: str) -> None:
        run = f"{self.browser.url}/dags/{dag_id}/runs/{quote(dag_run, safe='')}"
        self.browser.driver.get(f"{run}/tasks/{task_id}/plugin/agent-run")

    def open_task_alone(self, dag_id: str, dag_run: str, task_id: str) -> None:
        """Open the same page outside Airflow's UI, with unencoded IDs as Airflow 3.1 writes them."""
        query = f"dag_id={dag_id}&run_id={dag_run}&task_id={task_id}&map_index={{MAP_INDEX}}"
        self.browser.driver.get(f"{self.browser.url}/agent-runs/task?{query}")

    def open_list(self) -> None:
        self.browser.driver.get(f"{self.browser.url}/plugin/agent-runs")

    def open_list_alone(self) -> None:
        self.browser.driver.get(f"{self.browser.url}/agent-runs/")

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Switch to the frame in which Airflow shows a page."""
        [frame] = self.browser.wait(lambda: self.browser.all("iframe"))
        self.browser.driver.switch_to.frame(frame)
        try:
            yield
        finally:
            self.browser.driver.switch_to.default_content()

    @property
    def text(self) -> str:
        return str(self.browser.script("return document.querySelector('main')?.innerText ?? ''"))

    def wait_for(self, text: str) -> None:
        self.browser.wait(lambda: text in self.text)

    @property
    def theme(self) -> str:
        return str(self.browser.script("return document.documentElement.dataset.theme"))

    @property
    def requests(self) -> int:
        resources = self.browser.script("return performance.getEntriesByType('resource').map(one => one.name)")
        return sum("/api/" in name for name in resources)

    def check_layout(self) -> None:
        """Check that nothing is cut off or overlaps, and that axe reports no serious issue."""
        wrong = {
            "overflowing": self.browser.overflowing(self.browser.all("main")[0]),
            "overlapping": self.browser.script(_OVERLAPPING),
            "faults": self._faults(),
        }
        assert not any(wrong.values()), wrong

    def check_alone(self, text: str, name: str, place: Sequence[str], widths: Sequence[int], *schemes: Scheme) -> None:
        """
        Open a page outside Airflow's UI in some widths and color schemes, check its layout, and take screenshots.

        :param text: The text to wait for.
        :param place: DAG ID, DAG run ID, and task ID of the task instance.
        """
        for scheme, width in product(schemes or SCHEMES, widths):
            self.browser.be(width, scheme)
            self.open_task_alone(*place)
            self.wait_for(text)
            self.check_layout()
            self.take_whole(f"{name}-{scheme}-{width}")

    def _faults(self) -> list[Any]:
        assert _AXE.is_file(), f"{_AXE} is missing: run `npm ci` in airflow_provider_agentruns/plugins/ui"
        self.browser.script(_AXE.read_text())
        found = self.browser.driver.execute_async_script(_FAULTS)
        return [fault for fault in found if fault[0] in ("serious", "critical")]

    def take_whole(self, name: str) -> None:
        width, height = self.browser.script(
            "return [document.documentElement.clientWidth, document.documentElement.scrollHeight]"
        )
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        taken = self.browser.driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip}
        )
        (self.browser.screenshots / f"{name}.png").write_bytes(b64decode(taken["data"]))
