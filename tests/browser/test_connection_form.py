# SPDX-License-Identifier: Apache-2.0
"""The form of a connection, and the Test button, which Airflow shows in the list of connections."""

from __future__ import annotations

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from airflow_provider_agentruns.emulator.server import Emulator
from tests.browser.pages import Browser
from tests.support.standalone import Standalone


def test_a_connection_from_the_form_passes_its_test(airflow: Standalone, emulator: Emulator, browser: Browser) -> None:
    def click(button: str) -> None:
        browser.wait(lambda: browser.driver.find_elements(By.XPATH, f"//button[{button}]"))[0].click()

    browser.driver.get(f"{airflow.url}/connections")
    click("contains(., 'Add Connection')")
    # Airflow enables the list of types as soon as it has loaded them.
    [kind] = browser.wait(lambda: browser.all("[role='dialog'] input[role='combobox']:enabled"))
    kind.send_keys("Agent runs", Keys.ENTER)
    [port] = browser.wait(lambda: browser.all("input[name='port']"))
    assert port.get_dom_attribute("placeholder") == "443 (the Test button needs a port)"
    browser.take_screenshot("connection-form-light-1280")

    fields = {
        "connection_id": "from_the_form", "host": "http://127.0.0.1", "password": emulator.token,
        "port": str(emulator.port),
    }  # fmt: skip
    for name, value in fields.items():
        browser.all(f"input[name='{name}']")[0].send_keys(value)
    click("contains(., 'Save')")
    browser.wait(lambda: not browser.all("[role='dialog']"))
    click("@aria-label='Test Connection'")
    # Airflow shows the hook's message in a notification.
    [text] = browser.wait(
        lambda: [it.text for it in browser.all("[data-scope='toast'][data-part='root']") if "Test" in it.text]
    )
    browser.take_screenshot("connection-test-light-1280")
    assert "Test Connection Successful" in text
    assert "accepts the token" in text
