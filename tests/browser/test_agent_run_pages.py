# SPDX-License-Identifier: Apache-2.0
"""A person follows an agent's work on the pages inside Airflow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.browser.hostile import hostile
from tests.support.standalone import Standalone

if TYPE_CHECKING:
    from tests.browser.agent_run_pages import AgentRunPages
    from tests.browser.pages import Browser

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.fixture(scope="module")
def unhurried(airflow: Standalone) -> Iterator[Emulator]:
    """Return a service that works slowly enough to be watched, over a connection that is in Airflow's database."""
    with Emulator(speed=0.3, agents={"hostile": hostile}) as emulator:
        for conn_id, port in (("unhurried", emulator.port), ("unreachable", 1)):
            airflow.call(
                "POST",
                "/connections",
                json={
                    "connection_id": conn_id,
                    "conn_type": "agentruns",
                    "host": f"http://127.0.0.1:{port}",
                    "password": emulator.token,
                    "extra": '{"rate_limit": 100, "run_url": "https://runs.example.com/{run_id}"}',
                },
            )
        yield emulator


@pytest.fixture
def pages(airflow: Standalone, browser: Browser, unhurried: Emulator, screenshots: Path) -> AgentRunPages:
    """Return the pages."""
    from tests.browser.agent_run_pages import AgentRunPages

    return AgentRunPages(browser, airflow.url, screenshots)


def started(airflow: Standalone, agent: str) -> str:
    """Start the DAG, wait until its agent run exists, and return the DAG run's id."""
    dag_run = airflow.start_dag("page_of_a_review", {"agent": agent})
    start = "page_of_a_review", dag_run, "start"
    airflow.wait_for(lambda: airflow.task_instance(*start)["state"] == "success", "start a run", 90)
    return dag_run


def test_a_run_is_seen_while_it_works_when_it_asks_and_when_it_is_done(
    airflow: Standalone, pages: AgentRunPages, unhurried: Emulator
) -> None:
    browser = pages.browser
    dag_run = started(airflow, "cip_orchestrator")
    place = "page_of_a_review", dag_run, "start"
    run_id = airflow.xcom(*place, "run_id")

    # It works: what is running grows, step by step.
    pages.open_task(*place)
    with pages.inside():
        pages.wait_for("Running")
        assert "Selects the agents" in pages.text
        before = running_for(browser)
        browser.wait(lambda: running_for(browser) > before)
        pages.wait_for("Finds the owners")
        assert pages.theme == "light"
        pages.check_looks()
    browser.take_screenshot("run-works-light-1280")
    # Airflow's own setting counts, and not only the machine's.
    browser.script("document.documentElement.className = 'dark'")
    with pages.inside():
        browser.wait(lambda: pages.theme == "dark")
        pages.check_looks()
    browser.take_screenshot("run-works-dark-1280")

    # It asks: the page leads to the form, and the answer to the run.
    pages.open_task(*place)
    with pages.inside():
        pages.wait_for("Should these changes to")
        browser.wait(lambda: browser.all("a.button.primary"))
        pages.check_looks()
    browser.take_screenshot("run-asks-light-1280")
    with pages.inside():
        browser.all("a.button.primary")[0].click()
    browser.wait(lambda: "required_actions" in browser.driver.current_url)
    browser.form().submit("Approve")
    airflow.wait_for_dag("page_of_a_review", dag_run)

    # It is done.
    pages.open_task(*place)
    with pages.inside():
        pages.wait_for("Completed")
        pages.wait_for("Identification of")
        assert [card.text for card in browser.all(".card h3")][1:] == ["Registration", "Owners", "Website"]
        assert "Approve by Anonymous" in pages.text
        assert "Confirmed by the service" in pages.text
        links = [link.get_dom_attribute("href") for link in browser.all(".sources a")]
        assert links
        assert all(link.startswith("https://") for link in links)
        assert {link.get_dom_attribute("rel") for link in browser.all(".sources a")} == {"noopener noreferrer"}
        # Nothing changes any more, so that nothing is asked any more.
        asked, requests = pages.asked, len(unhurried.requests)
        time.sleep(8)
        assert (pages.asked, len(unhurried.requests)) == (asked, requests)
        # The frame may open no tab: Airflow's page does.
        tabs = len(browser.driver.window_handles)
        browser.all(".sources a")[0].click()
        browser.wait(lambda: len(browser.driver.window_handles) > tabs)
        assert pages.text.count(run_id) == 1
    here = browser.driver.current_window_handle
    for tab in browser.driver.window_handles:
        if tab != here:
            browser.driver.switch_to.window(tab)
            browser.driver.close()
    browser.driver.switch_to.window(here)
    for scheme in SCHEMES:
        for width in (1280, 360):
            browser.be(width, scheme)
            pages.open_task_alone(*place)
            pages.wait_for("Identification of")
            pages.check_looks()
            pages.take_whole(f"run-done-{scheme}-{width}")


def test_the_list_shows_who_waits_and_the_keyboard_is_enough_to_get_to_the_form(
    airflow: Standalone, pages: AgentRunPages
) -> None:
    from selenium.webdriver.common.keys import Keys

    browser = pages.browser
    dag_run = started(airflow, "needs_approval")
    airflow.wait_for(
        lambda: airflow.count("page_of_a_review", dag_run, "reviewed.review_1", "awaiting_input"), "ask", 120
    )
    for scheme in SCHEMES:
        for width in (1280, 360):
            browser.be(width, scheme)
            pages.open_list_alone()
            pages.wait_for("Should the company's address be changed?")
            pages.check_looks()
            pages.take_whole(f"list-{scheme}-{width}")
    browser.be(1280, "light")
    pages.open_list()
    with pages.inside():
        pages.wait_for("Should the company's address be changed?")
        for _ in range(30):
            browser.driver.switch_to.active_element.send_keys(Keys.TAB)
            if browser.driver.switch_to.active_element.text == "Answer":
                break
        browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    browser.wait(lambda: browser.driver.current_url.endswith("/reviewed.review_1/mapped/0/required_actions"))
    browser.form().submit("Approve")
    airflow.wait_for_dag("page_of_a_review", dag_run)


def test_filters_narrow_the_list(airflow: Standalone, pages: AgentRunPages) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.select import Select

    browser = pages.browser
    dag_runs = [started(airflow, agent) for agent in ("two_questions", "slow")]
    airflow.wait_for(
        lambda: airflow.count("page_of_a_review", dag_runs[0], "reviewed.review_1", "awaiting_input"), "ask", 120
    )
    pages.open_list_alone()
    browser.wait(lambda: {"two_questions", "slow"} <= agents(browser))
    Select(browser.driver.find_elements(By.TAG_NAME, "select")[1]).select_by_visible_text("slow")
    browser.wait(lambda: agents(browser) == {"slow"})
    Select(browser.driver.find_elements(By.TAG_NAME, "select")[1]).select_by_visible_text("All agents")
    [persons] = browser.all("button.toggle")
    persons.click()
    browser.wait(lambda: "slow" not in agents(browser))
    assert persons.get_dom_attribute("aria-pressed") == "true"
    assert {badge.text for badge in browser.all("tbody .badge")} == {"Waiting for a person"}


def test_a_hostile_agents_words_are_text(airflow: Standalone, pages: AgentRunPages) -> None:
    browser = pages.browser
    dag_run = started(airflow, "hostile")
    for width in (1280, 360):
        browser.be(width, "light")
        pages.open_task_alone("page_of_a_review", dag_run, "start")
        pages.wait_for("<script>window.hacked = 1; alert(1)</script>")
        pages.check_looks()
        assert browser.script("return window.hacked ?? null") is None
        assert browser.all("main img, main script, main h4, main a[href*='evil']") == []
        pages.take_whole(f"run-hostile-light-{width}")


def test_a_service_that_cannot_be_reached_is_said_and_asked_again(airflow: Standalone, pages: AgentRunPages) -> None:
    browser = pages.browser
    dag_run = airflow.start_dag("page_of_a_failure")
    airflow.wait_for_dag("page_of_a_failure", dag_run, "failed")
    for scheme, width in (("light", 1280), ("dark", 360)):
        browser.be(width, scheme)  # type: ignore[arg-type]
        pages.open_task_alone("page_of_a_failure", dag_run, "wait")
        pages.wait_for("Cannot read the run")
        assert "could not be reached" in pages.text
        assert "0b9a1f5e-0000-4000-8000-000000000001" in pages.text
        pages.check_looks()
        pages.take_whole(f"run-unreachable-{scheme}-{width}")
    asked = pages.asked
    [again] = browser.all(".notice button")
    again.click()
    browser.wait(lambda: pages.asked > asked)


def test_the_page_refuses_scripts_of_others(pages: AgentRunPages) -> None:
    browser = pages.browser
    pages.open_list_alone()
    pages.wait_for("Agent runs")
    browser.script(
        "const s = document.createElement('script'); s.textContent = 'window.hacked = 1'; document.body.append(s);"
        "const i = document.createElement('img'); i.setAttribute('onerror', 'window.hacked = 2'); i.src = 'x:';"
        "document.body.append(i);"
    )
    time.sleep(1)
    assert browser.script("return window.hacked ?? null") is None


def running_for(browser: Browser) -> float:
    """Return how long the running step has been running by what the page says, in seconds."""
    script = "return [...document.querySelectorAll('.step.running > .row .time')].map(one => one.innerText)"
    return max((float(text.removesuffix(" s")) for text in browser.script(script)), default=0)


def agents(browser: Browser) -> set[str]:
    """Return the agents that are in the list."""
    return set(browser.script("return [...document.querySelectorAll('td.agent')].map(one => one.innerText)"))
