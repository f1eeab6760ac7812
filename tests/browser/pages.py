# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium, and the pages of Airflow on which people answer questions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote

from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.standalone.people import Review

T = TypeVar("T")

Scheme = Literal["light", "dark"]

#: The width of a window on a desk, and below which a window is a phone's, in pixels.
DESK, TABLET = 1280, 768

_HEIGHT = 900
_AROUND_BODY = 550
_PATIENCE = 30.0
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    f"--window-size={DESK},{_HEIGHT}",
    # No page can reach another machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
# The form's hidden field is in the same element as the body.
_FIELD = "#element_interrupt_id"

_OVERFLOWING = """
    const width = document.documentElement.clientWidth;
    const overflows = element => {
        const box = element.getBoundingClientRect(), style = getComputedStyle(element);
        if (box.width <= 1) return false;
        const cut = element.clientWidth > 0 && element.scrollWidth > element.clientWidth + 1
            && !['visible', 'auto'].includes(style.overflowX);
        return box.right > width + 0.5 || box.left < -0.5 || cut;
    };
    return [...arguments[0].querySelectorAll('*')].filter(overflows).map(element => element.outerHTML.slice(0, 200));
"""


class Browser:
    """
    A browser, as a context manager.

    :param url: The URL of an Airflow that logs every visitor in as an administrator.
    :param profile: A folder that does not exist yet.
    :param screenshots: The folder for screenshots.
    """

    def __init__(self, url: str, profile: Path, screenshots: Path) -> None:
        options = ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        # With a path, Selenium does not search for another driver or download one.
        self.driver = Chrome(options, ChromeService("/usr/bin/chromedriver"))
        self.url, self.screenshots = url, screenshots
        self.be(DESK, "light")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *error: object) -> None:
        self.driver.quit()

    def be(self, width: int, scheme: Scheme) -> None:
        self._width = width
        self._size(_HEIGHT)
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )

    def open_list(self) -> None:
        self.driver.get(f"{self.url}/required_actions?response_received=false")
        self.wait(lambda: self.all("button[aria-label='Open Review Drawer']"))

    def open_from_list(self, subject: str) -> Form:
        """Click a required action on that page, which opens its task instance."""
        self.open_list()
        self.driver.find_element(By.LINK_TEXT, subject).click()
        return self.form()

    def open_drawer(self, subject: str) -> Form:
        """Open a required action in the drawer of that page, which fits on a phone."""
        self.open_list()
        [row] = [row for row in self.all("tr") if subject in row.text]
        row.find_element(By.CSS_SELECTOR, "button[aria-label='Open Review Drawer']").click()
        return self.form()

    def open_review(self, review: Review) -> Form:
        task = f"{review.task_id}/mapped/{review.map_index}" if review.map_index >= 0 else review.task_id
        self.driver.get(
            f"{self.url}/dags/{review.dag_id}/runs/{quote(review.dag_run, safe='')}/tasks/{task}/required_actions"
        )
        return self.form()

    def form(self) -> Form:
        """Wait until a form is shown completely and stops moving, and return it."""
        places: list[dict[str, Any]] = [{}]

        def find() -> Form | None:
            if not (found := self.all(_FIELD)):
                return None
            form = Form(self, found[0].find_element(By.XPATH, ".."))
            places.append(form.body.rect)
            return form if "Asked by" in form.text and places[-1] == places[-2] else None

        return self.wait(find)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def wait(self, condition: Callable[[], T | None]) -> T:
        """Return the condition's result as soon as it is true."""
        found = WebDriverWait(self.driver, _PATIENCE).until(lambda _: condition())
        assert found
        return found

    def script(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def overflowing(self, root: WebElement) -> list[str]:
        """Return the elements that are cut off, or require horizontal scrolling."""
        return list(self.script(_OVERFLOWING, root))

    def take_screenshot(self, name: str, *, of: Form | None = None, height: int = _HEIGHT) -> None:
        """Take a screenshot of a window with a height in pixels, or of a complete form."""
        self._size(_AROUND_BODY + of.body.size["height"] if of else height)
        self.driver.save_screenshot(str(self.screenshots / f"{name}.png"))
        self._size(_HEIGHT)

    def _size(self, height: int) -> None:
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": self._width, "height": height, "deviceScaleFactor": 1, "mobile": self._width < TABLET},
        )


class Form:
    """One form on a page. The element ``body`` contains the text and the fields."""

    def __init__(self, browser: Browser, body: WebElement) -> None:
        self._browser = browser
        self.body = body

    @property
    def subject(self) -> str:
        return str(self._browser.script("return arguments[0].previousElementSibling.innerText", self.body))

    @property
    def text(self) -> str:
        """The visible text, without the characters that keep addresses from becoming links."""
        text = str(self._browser.script("return arguments[0].innerText", self.body))
        return text.replace("\u2060", "")

    @property
    def buttons(self) -> list[str]:
        return [button.text for button in self._browser.all("button[data-testid^='hitl-option-']")]

    @property
    def tags(self) -> list[str]:
        return [element.tag_name for element in self.inside("*")]

    @property
    def links(self) -> list[tuple[str, str]]:
        links = [link for link in self.inside("a") if link.is_displayed()]
        return [(link.text.replace("\u200b", ""), str(link.get_dom_attribute("href"))) for link in links]

    def inside(self, selector: str) -> list[WebElement]:
        return self.body.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        return [element.text for element in self.inside(selector)]

    def field(self, name: str) -> WebElement:
        return self.body.find_element(By.ID, f"element_{name}")

    def submit(self, option: str) -> None:
        """Select an option, which submits the form."""
        [button] = self._browser.all(f"button[data-testid='hitl-option-{option}']")
        button.click()
