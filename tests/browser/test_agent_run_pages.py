# SPDX-License-Identifier: Apache-2.0
"""
The package's pages in a browser, inside Airflow's UI and alone.

They need only Airflow's API server, with task instances as a scheduler would write them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from airflow_provider_agentruns.emulator.server import Emulator
from tests.browser.agent_run_pages import AgentRunPages
from tests.browser.hostile import hostile
from tests.browser.pages import Browser
from tests.plugins.conftest import start_run
from tests.plugins.instances import Instances
from tests.plugins.served import ServedAirflow
from tests.support import BUSINESS
from tests.support.airflow_versions import FORM_STATE
from tests.support.scripted_server import ScriptedServer, answer

CONNECTION = {"agentruns_conn_id": "watched"}


@pytest.fixture(scope="module")
def service() -> Iterator[Emulator]:
    """Return a service that works slowly enough to be watched."""
    extra = {"rate_limit": 100, "run_url": "https://runs.example.com/{run_id}"}
    with Emulator(speed=0.3, agents={"hostile": hostile}, extra=extra) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def served(airflow_home: Path, service: Emulator) -> Iterator[ServedAirflow]:
    """Return the API server, which logs every visitor in as an administrator."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AIRFLOW_CONN_WATCHED", service.connection_uri)
        environment.setenv("AIRFLOW_CONN_UNREACHABLE", "agentruns://:mk_test_1@127.0.0.1:1/http")
        with ServedAirflow() as served:
            yield served


@pytest.fixture
def pages(served: ServedAirflow, screenshots: Path, tmp_path: Path) -> Iterator[AgentRunPages]:
    with Browser(served.url, tmp_path / "profile", screenshots) as browser:
        yield AgentRunPages(browser)


def test_a_run_while_it_works_when_it_asks_and_when_it_is_done(
    pages: AgentRunPages, service: Emulator, instances: Instances
) -> None:
    browser = pages.browser
    rendered = {**CONNECTION, "agent": "cip_orchestrator", "run_id": ""}
    task = instances.task("watched", operator="AgentRunOperator", rendered=rendered)
    place = task[:3]

    # The task starts its run while the page is open. The bars of running steps grow, and new steps appear.
    pages.open_task(*place)
    with pages.inside():
        pages.wait_for("No agent run yet. Task state: running.")
        run = service.service.create_run("cip_orchestrator", business_id=BUSINESS)
        instances.set_xcom(*task, "run_id", run.id)
        pages.wait_for("Running")
        assert "Selects the agents" in pages.text
        before = running_for(browser)
        browser.wait(lambda: running_for(browser) > before)
        assert pages.theme == "light"
        pages.check_layout()
    browser.take_screenshot("run-works-light-1280")
    # Airflow's theme has precedence over the system's.
    browser.script("document.documentElement.className = 'dark'")
    with pages.inside():
        browser.wait(lambda: pages.theme == "dark")
        pages.check_layout()
    browser.take_screenshot("run-works-dark-1280")

    # A question links to its form.
    while service.service.get_run(run.id).status != "interrupted":
        time.sleep(0.1)
    [question] = service.service.get_run(run.id).interrupts
    form = {"subject": question["value"]["label"], "interrupt_id": question["id"]}
    instances.task(*place[:2], task_id="review", state=FORM_STATE, operator="AgentRunReviewOperator", form=form)
    pages.open_task(*place)
    with pages.inside():
        pages.wait_for("Should these changes to")
        browser.wait(lambda: browser.all("a.button.primary"))
        pages.check_layout()
    browser.take_screenshot("run-asks-light-1280")
    with pages.inside():
        browser.all("a.button.primary")[0].click()
    browser.wait(lambda: browser.driver.current_url.endswith("/tasks/review/required_actions"))

    # The run is done, and the task too.
    service.service.answer(run.id, question["id"], {"decision": "approve"})
    trail = {
        "run_id": run.id, "interrupt_id": question["id"], "label": question["value"]["label"], "by": "person",
        "responded_by": {"name": "Ada"}, "chosen_options": ["Approve"], "delivery": "confirmed", "status": "running",
        "superseded": [{"responded_by": {"name": "Bob"}, "chosen_options": ["Reject"]}],
    }  # fmt: skip
    instances.task(*place[:2], task_id="reviewed", state="success", xcoms={"trail": trail})
    place = instances.task(
        "watched", place[1], task_id="done", state="success", rendered={**CONNECTION, "run_id": run.id}
    )[:3]
    pages.open_task(*place)
    with pages.inside():
        pages.wait_for("Completed")
        pages.wait_for("Identification of")
        assert [card.text for card in browser.all(".card h3")][1:] == ["Registration", "Owners", "Website"]
        assert "Approve by Ada" in pages.text
        assert "Earlier decision, not sent: Reject by Bob" in pages.text
        assert "Confirmed by the service. Run resumed." in pages.text
        links = browser.all(".sources a")
        assert all((link.get_dom_attribute("href") or "").startswith("https://") for link in links)
        assert {link.get_dom_attribute("rel") for link in links} == {"noopener noreferrer"}
        assert run.id not in pages.text
        [run_id] = browser.all(f"code[title='{run.id}']")
        assert run_id.text == run.id[:8]
        # Nothing can change anymore, so the page sends no more requests.
        sent, requests = pages.requests, len(service.requests)
        time.sleep(8)
        assert (pages.requests, len(service.requests)) == (sent, requests)
        # The frame may not open tabs, so Airflow's page does.
        tabs = len(browser.driver.window_handles)
        links[0].click()
        browser.wait(lambda: len(browser.driver.window_handles) > tabs)
    # The page sends no requests while another tab hides it.
    first, *others = browser.driver.window_handles
    for tab in others:
        browser.driver.switch_to.window(tab)
        browser.driver.close()
    browser.driver.switch_to.window(first)
    pages.check_alone("Identification of", "run-done", place, (1280, 360))


def test_the_overview_with_filters_and_keyboard(pages: AgentRunPages, service: Emulator, instances: Instances) -> None:
    browser = pages.browser
    for agent in ("needs_approval", "slow"):
        run = service.service.create_run(agent, business_id=BUSINESS)
        instances.task(f"check_{agent}", ago=4000, state="deferred", trigger={**CONNECTION, "run_id": run.id})
    _, dag_run, *_ = instances.task(
        "weekly_review_of_all_businesses_that_moved_last_month", task_id="reviewed.review_1", map_index=0,
        label="Address", state=FORM_STATE, operator="AgentRunReviewOperator", ago=200_000,
        form={"subject": "Should the company's address be changed?", "interrupt_id": "int-1"},
    )  # fmt: skip
    for scheme in ("light", "dark"):
        for width in (1280, 360):
            browser.be(width, scheme)
            pages.open_list_alone()
            pages.wait_for("reviewed.review_1 [Address]")
            pages.wait_for("Should the company's address be changed?")
            # Runs of one DAG can be told apart.
            assert dag_run in pages.text
            browser.wait(lambda: {"needs_approval", "slow"} <= agents(browser))
            pages.check_layout()
            pages.take_whole(f"overview-{scheme}-{width}")
    browser.be(1280, "light")

    def select(text: str) -> None:
        Select(browser.driver.find_elements(By.TAG_NAME, "select")[1]).select_by_visible_text(text)

    select("slow")
    browser.wait(lambda: agents(browser) == {"slow"})
    [person] = browser.all("button.toggle")
    person.click()
    pages.wait_for("No runs match these filters.")
    select("All agents")
    browser.wait(lambda: "slow" not in agents(browser) and browser.all("tbody .badge"))
    assert person.get_dom_attribute("aria-pressed") == "true"
    assert {badge.text for badge in browser.all("tbody .badge")} == {"Waiting for a person"}
    person.click()
    Select(browser.driver.find_elements(By.TAG_NAME, "select")[2]).select_by_visible_text("Waiting for a person")
    browser.wait(lambda: "slow" not in agents(browser) and len(browser.all("tbody .badge")) > 1)
    assert {badge.text for badge in browser.all("tbody .badge")} == {"Waiting for a person"}

    pages.open_list()
    with pages.inside():
        pages.wait_for("Runs your tasks are waiting for")
        pages.wait_for("Should the company's address be changed?")
        browser.wait(lambda: {"needs_approval", "slow"} <= agents(browser))
    browser.take_screenshot("overview-airflow-light-1280")
    with pages.inside():
        for _ in range(30):
            browser.driver.switch_to.active_element.send_keys(Keys.TAB)
            if browser.driver.switch_to.active_element.text == "Answer":
                break
        browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    browser.wait(lambda: browser.driver.current_url.endswith("/reviewed.review_1/mapped/0/required_actions"))


def test_text_from_a_hostile_agent_stays_text(pages: AgentRunPages, service: Emulator, instances: Instances) -> None:
    browser = pages.browser
    run = start_run(service, "hostile", "interrupted")
    [question] = run.interrupts
    service.service.answer(run.id, question["id"], {"decision": "approve"})
    place = instances.task("hostile", rendered={**CONNECTION, "run_id": run.id})[:3]
    pages.check_alone("<script>window.hacked = 1; alert(1)</script>", "run-hostile", place, (1280, 360), "light")
    assert browser.script("return window.hacked ?? null") is None
    assert browser.all("main img, main script, main h4, main a[href*='evil']") == []


def test_a_failed_run_shows_its_error_first(pages: AgentRunPages, service: Emulator, instances: Instances) -> None:
    run = start_run(service, "fails", "error")
    place = instances.task("failed", state="failed", rendered={**CONNECTION, "run_id": run.id})[:3]
    pages.check_alone("No response after three tries", "run-failed", place, (360,))
    assert pages.text.index("Run failed") < pages.text.index("Timeline")


def test_a_timeline_says_that_it_shortens_a_wait(pages: AgentRunPages, instances: Instances) -> None:
    at = [f"2026-01-31T12:0{time}Z" for time in ("0:00", "0:10", "5:00", "5:10")]
    kinds = ("activity", "interrupt", "activity")
    steps = [
        {"label": kind, "type": kind, "status": "completed", "started_at": at[index], "completed_at": at[index + 1]}
        for index, kind in enumerate(kinds)
    ]
    run = {"id": "r-1", "status": "completed", "started_at": at[0], "ended_at": at[-1], "steps": steps}
    with ScriptedServer(lambda _: answer(run)) as service, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AIRFLOW_CONN_SCRIPTED", f"agentruns://:x@127.0.0.1:{service.port}/http")
        rendered = {"agentruns_conn_id": "scripted", "run_id": "r-1"}
        pages.open_task_alone(*instances.task("waited", state="success", rendered=rendered)[:3])
        pages.wait_for("Not to scale: time waiting for a person (striped) is shortened.")
        pages.check_layout()
        pages.take_whole("run-shortened-light-1280")
    widths = pages.browser.script("return [...document.querySelectorAll('.bar')].map(bar => bar.clientWidth)")
    assert abs(widths[1] - widths[0] - widths[2]) <= 2


def test_an_unreachable_service_is_reported_and_can_be_retried(pages: AgentRunPages, instances: Instances) -> None:
    browser = pages.browser
    rendered = {"agentruns_conn_id": "unreachable", "run_id": "run-1"}
    place = instances.task("cut_off", state="failed", rendered=rendered)[:3]
    pages.check_alone("Cannot read the run", "run-unreachable", place, (360,))
    assert "could not be reached" in pages.text
    assert "run-1" in pages.text
    sent = pages.requests
    [retry] = browser.all(".notice button")
    retry.click()
    browser.wait(lambda: pages.requests > sent)


def running_for(browser: Browser) -> float:
    """Return the largest duration that the page shows for a running step, in seconds."""
    script = "return [...document.querySelectorAll('.step.running > .row .time')].map(one => one.innerText)"
    return max((float(text.removesuffix(" s")) for text in browser.script(script)), default=0)


def agents(browser: Browser) -> set[str]:
    return set(
        browser.script("return [...document.querySelectorAll('td.agent')].map(one => one.innerText.split(' ')[0])")
    )
