"""The dashboard as a person sees it, in chromium."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.optimizer.cli.commands import REPOSITORY, run
from tests.optimizer.dashboard.conftest import SMALL

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("selenium") is None, reason="selenium is not installed"),
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="chromium and chromedriver are not installed",
    ),
    # What selenium leaves to the collector of garbage when a driver ends.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

_PATIENCE_S = 90
_SLIDER = "input[type=range][data-path='services[chat].load.arrival_rate_rps']"
_ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--disable-default-apps", "--window-size=1400,1000",
)  # fmt: skip

# Sets a field as a person does: the page hears of it.
_SET = """
const field = document.querySelector(arguments[0]);
field.value = arguments[1];
field.dispatchEvent(new Event("input", {bubbles: true}));
field.dispatchEvent(new Event("change", {bubbles: true}));
"""
_SOLVED = """
return document.body.dataset.solving === "no" && document.querySelector("#cost")
  && !document.querySelector("#plan-view").classList.contains("stale");
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where a dashboard with a small fleet listens."""
    with dashboard(str(SMALL)) as url:
        yield url


@contextmanager
def dashboard(*fleet: str) -> Iterator[str]:
    """Run a dashboard, and tell where it listens, as `--json` says it."""
    code = "from optimizer.cli import main; main()"
    arguments = ["dashboard", *fleet, "--port", "0", "--no-browser", "--json"]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdout=subprocess.PIPE, stderr=errors, text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )  # fmt: skip
        slow = threading.Timer(_PATIENCE_S, process.kill)
        slow.start()
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            slow.cancel()
            errors.seek(0)
            assert line, errors.read()
            yield str(json.loads(line)["url"])
        finally:
            slow.cancel()
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)
            if process.stdout is not None:
                process.stdout.close()


class Window:
    """A browser's window on the dashboard."""

    def __init__(self, driver: Any, address: str) -> None:
        self.driver = driver
        self.address = address
        driver.get(address)
        self.until(_SOLVED)

    def until(self, script: str) -> Any:
        """Wait until a script returns something true."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, _PATIENCE_S).until(lambda d: d.execute_script(script))

    def ask(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def click(self, selector: str) -> None:
        element = self.driver.find_element("css selector", selector)
        self.ask("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def set(self, selector: str, value: object) -> None:
        self.ask(_SET, selector, str(value))

    def solved_anew(self, act: Callable[[], None]) -> float:
        """Do something that makes a new plan; its cost."""
        before = self.ask("return document.querySelector('#command').textContent")
        act()
        self.until(
            _SOLVED.strip().rstrip(";")
            + f"""
          && document.querySelector("#command").textContent !== {json.dumps(before)};"""
        )
        return self.cost

    @property
    def cost(self) -> float:
        return float(self.ask("return document.querySelector('#cost').dataset.value"))

    @property
    def text(self) -> str:
        return str(self.driver.find_element("tag name", "body").text)


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    """Chromium without a screen, with what it says and asks for kept."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for argument in (*_ARGUMENTS, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        downloads = {"download.default_directory": f"{profile}/downloads"}
        options.add_experimental_option("prefs", downloads)
        service = Service(str(shutil.which("chromedriver")))
        chromium = webdriver.Chrome(options=options, service=service)
        chromium.set_page_load_timeout(_PATIENCE_S)
        chromium.set_script_timeout(_PATIENCE_S)
        chromium.downloads = Path(profile) / "downloads"  # type: ignore[attr-defined]
        try:
            yield chromium
        finally:
            chromium.quit()


@pytest.fixture
def window(driver: Any, address: str) -> Iterator[Window]:
    """A fresh window; afterwards nothing may have gone wrong in it or left the machine."""
    driver.get_log("browser")
    driver.get_log("performance")
    yield Window(driver, address)
    assert driver.get_log("browser") == []
    asked = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    urls = {
        m["params"]["request"]["url"] for m in asked if m["method"] == "Network.requestWillBeSent"
    }
    own = urlsplit(address).netloc
    assert urls
    assert {url for url in urls if urlsplit(url).netloc not in (own, "")} == set()


def test_after_a_moved_slider_the_cost_is_the_command_line_s(window: Window) -> None:
    """To the last digit; the command is the one that the page shows."""
    first = window.cost
    moved = window.solved_anew(lambda: window.set(_SLIDER, 150))
    assert moved > first
    command = window.ask("return document.querySelector('#command').textContent")
    words = shlex.split(command.replace("\\\n", " "))
    done = run(*words[1:])
    assert json.loads(done.stdout)["total_cost_per_hour"] == moved
    assert f"{moved:,.2f}" in window.text


def test_plans_are_pinned_compared_and_taken_away(window: Window, driver: Any) -> None:
    """Two pins, what tells them apart with its cause, and the files."""
    window.click("#pin")
    window.solved_anew(lambda: window.set(_SLIDER, 120))
    window.click("#pin")
    window.click("#tab-compare")
    window.click("#compare")
    window.until("return document.querySelector('#compare-view table')")
    compared = window.driver.find_element("id", "compare-view").text
    assert "Plan 1" in compared
    assert "Plan 2" in compared
    assert "chat" in compared
    assert "120" in compared
    window.click("#tab-export")
    links = window.ask("return [...document.querySelectorAll('#downloads a')].map(a => a.href)")
    fetch = "return fetch(arguments[0]).then((answer) => answer.text())"
    kinds = {link.rpartition("/")[2]: window.ask(fetch, link) for link in links}
    assert json.loads(kinds["plan.json"])["total_cost_per_hour"] == window.cost
    assert kinds["plan.csv"].startswith("service,")
    assert kinds["report.html"].startswith("<!doctype html>")
    assert "arrival_rate_rps: 120" in kinds["fleet.yaml"]
    window.click("#downloads a")
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, _PATIENCE_S).until(lambda d: (d.downloads / "plan.json").exists())


def test_what_is_impossible_is_explained_and_repaired_at_a_click(window: Window) -> None:
    """Too few cards: who is not served stands in the first line; the repair serves everyone."""
    for place in (0, 1):
        slider = f"input[type=range][data-path='capacities[{place}].cards']"
        window.solved_anew(lambda slider=slider: window.set(slider, 1))  # type: ignore[misc]
    assert "not served" in window.text
    window.click("#tab-why")
    window.click("[data-study=repair]")
    window.until("return document.querySelector('#progress-repair').textContent.includes('found')")
    assert "cannot be kept together" in window.text
    window.solved_anew(lambda: window.click("#view-repair [data-changes]"))
    assert "not served" not in window.driver.find_element("id", "progress").text
    window.solved_anew(lambda: window.click("#reset"))


def test_a_front_is_found_with_its_line_and_its_plans_can_be_pinned(window: Window) -> None:
    """Drawn with the objectives' line; a pinned point stands among the pins."""
    window.click("#tab-pareto")
    window.click("[data-study=front]")
    window.until("return document.querySelector('#view-front svg')")
    assert "SLO" in window.driver.find_element("id", "view-front").text
    window.click("#view-front [data-pin-point]")
    window.click("#tab-compare")
    assert "Plan 1" in window.driver.find_element("id", "pins").text


def test_faults_of_a_pasted_fleet_lead_to_their_lines(window: Window) -> None:
    """All of them, beside the text; a right one is then loaded."""
    text = SMALL.read_text(encoding="utf-8")
    wrong = text.replace("priority: 1", "priority: 0").replace("cards: 40", "cards: -1")
    window.click("#paste-open")
    window.ask("document.querySelector('#paste-text').value = arguments[0]", wrong)
    window.click("#paste-load")
    window.until("return document.querySelectorAll('#paste-faults li button').length >= 3")
    window.click("#paste-faults li:last-child button")
    chosen = window.ask(
        "const t = document.querySelector('#paste-text');"
        "return t.value.slice(t.selectionStart, t.selectionEnd)"
    )
    assert "cards: -1" in chosen or "priority: 0" in chosen
    renamed = text.replace("name: live", "name: pasted").replace("name: chat", "name: <i>chat</i>")
    window.ask("document.querySelector('#paste-text').value = arguments[0]", renamed)
    window.click("#paste-load")
    window.until("return document.querySelector('#fleet-name').textContent.includes('pasted')")
    window.until(_SOLVED)
    assert "<i>chat</i>" in window.text
    # The refusal itself is told by the browser as a failed request, and that alone.
    refused = window.driver.get_log("browser")
    assert all("/api/fleets" in entry["message"] and "422" in entry["message"] for entry in refused)


def test_all_prices_move_where_the_catalogue_has_some_of_them(window: Window) -> None:
    """A price that the fleet does not write is set, the others are multiplied; undone as one."""
    text = SMALL.read_text(encoding="utf-8").replace(", cost_per_hour: 3.67", "")
    text += "notes: [from a meeting]\n"
    window.click("#paste-open")
    window.ask("document.querySelector('#paste-text').value = arguments[0]", text)
    window.solved_anew(lambda: window.click("#paste-load"))
    assert "from a meeting" in window.driver.find_element("id", "notes").text
    before = window.cost
    twice = window.solved_anew(lambda: window.set("#all-prices", 2))
    assert twice == pytest.approx(2 * before)
    command = window.ask("return document.querySelector('#command').textContent")
    assert "accelerators[H100].cost_per_hour*=2" in command
    assert "accelerators[A100].cost_per_hour=" in command
    assert window.solved_anew(lambda: window.click("#changes button")) == pytest.approx(before)
    assert window.ask("return document.querySelectorAll('#changes li').length") == 0


def test_the_keyboard_reaches_everything(window: Window) -> None:
    """Every control has a name; tabs move with the arrows; the slider heeds them too."""
    from selenium.webdriver.common.keys import Keys

    nameless = window.ask("""
      return [...document.querySelectorAll("button, input, select, textarea")].filter((control) =>
        !control.getAttribute("aria-label") && !control.labels?.length
        && !control.textContent.trim() && !control.title).map((control) => control.outerHTML);
    """)
    assert nameless == []
    window.driver.find_element("id", "tab-plan").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    shown = "return [...document.querySelectorAll('[role=tabpanel]')].filter(p => !p.hidden)[0].id"
    assert window.ask(shown) == "panel-pareto"
    before = window.cost
    slider = window.driver.find_element("css selector", _SLIDER)
    window.solved_anew(lambda: slider.send_keys(Keys.END))
    assert window.cost > before


def test_the_laboratory_shows_its_progress_and_ends_when_told(window: Window) -> None:
    """A bar and curves while it runs; cancelled, it says so; a short one ends side by side."""
    window.click("#tab-lab")
    window.set("#lab-form [name=hours]", 48)
    window.click("[data-study=lab]")
    window.until("return document.querySelector('#progress-lab progress')")
    window.until("return document.querySelectorAll('#view-lab .curves polyline').length >= 2")
    window.click("[data-cancel=lab]")
    window.until("return document.querySelector('#progress-lab').textContent === 'cancelled'")
    window.set("#lab-form [name=hours]", 0.2)
    window.click("[data-study=lab]")
    window.until("return document.querySelector('#view-lab table')")
    assert "static-peak" in window.driver.find_element("id", "view-lab").text


@pytest.mark.parametrize(("tab", "word"), [("kv", "nvme_paper"), ("capacity", "KV pool")])
def test_calculators_answer_when_they_are_opened(window: Window, tab: str, word: str) -> None:
    """With their command line."""
    window.click(f"#tab-{tab}")
    window.until(f"return document.querySelector('#{tab}-view section')")
    shown = window.driver.find_element("id", f"{tab}-view").text
    assert word in shown
    assert "fleetopt " in shown


def test_narrow_windows_and_dark_ones_show_all_of_it(window: Window) -> None:
    """Nothing is wider than a phone; dark is dark, as the system or the button has it."""
    metrics = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    scheme = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    ground = "return getComputedStyle(document.body).backgroundColor"
    window.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        assert window.ask("return document.documentElement.scrollWidth") <= 390
        light = window.ask(ground)
        window.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
        dark = window.ask(ground)
        assert dark != light
        window.click("#theme")  # light, whatever the system has
        assert window.ask(ground) == light
        window.click("#theme")
        window.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        assert window.ask(ground) == dark
    finally:
        window.ask("localStorage.removeItem('colours')")
        window.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        window.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_periods_are_planned_where_a_fleet_has_them(window: Window) -> None:
    """Its tab is there, and its plan with the command; with the next fleet both go."""
    assert "Periods" not in window.driver.find_element("css selector", ".tabs").text
    one = SMALL.read_text(encoding="utf-8")
    more = one + "\nhorizon: {periods: [{name: night, factor: 0.2}, {name: day}]}\n"

    def paste(text: str) -> None:
        window.click("#paste-open")
        window.set("#paste-text", text)
        window.click("#paste-load")

    paste(more)
    window.until("return !document.querySelector('#tab-horizon').hidden")
    window.click("#tab-horizon")
    window.click("[data-study=horizon]")
    window.until("return document.querySelector('#view-horizon svg')")
    assert "over 2 periods" in window.driver.find_element("id", "view-horizon").text
    assert "fleetopt horizon fleet.yaml" in window.text
    paste(one)
    window.until("return document.querySelector('#tab-horizon').hidden")
    assert window.ask("return document.querySelector('#view-horizon').children.length") == 0


@pytest.mark.parametrize(
    ("tab", "field", "values", "shown"),
    [
        ("plan", "#time-limit", ("-1", "1e9"), "#faults"),
        ("plan", "#all-loads-number", ("-1", ""), "#faults"),
        ("plan", _SLIDER.replace("range", "number"), ("-1", ""), "#faults"),
        ("pareto", "#points", ("1", "2.5", ""), "#progress-front"),
        ("whatif", "#share", ("0", ""), "#progress-tornado"),
        ("lab", "[name=spike]", ("-1", ""), "#progress-lab"),
    ],
)
def test_a_field_that_is_wrong_is_named_and_the_page_goes_on(
    window: Window, tab: str, field: str, values: tuple[str, ...], shown: str
) -> None:
    """With its label and what is wanted; put right, the plan is there as before."""
    before = window.cost
    window.click(f"#tab-{tab}")
    right = window.ask("return document.querySelector(arguments[0]).value", field)
    for value in values:
        window.set(field, value)
        if tab != "plan":
            window.click(f"#panel-{tab} [data-study]")
        window.until(f"return document.querySelector({shown!r}).textContent.includes(':')")
        window.set(field, right)
        window.until(_SOLVED)
    assert window.cost == before


def test_without_a_fleet_one_is_asked_for(driver: Any) -> None:
    """Whatever needs one says so, and asks the server for nothing."""
    with dashboard() as empty:
        driver.get(empty)
        for tab, study in (("pareto", "front"), ("why", "repair"), ("lab", "lab")):
            driver.find_element("id", f"tab-{tab}").click()
            driver.find_element("css selector", f"[data-study={study}]").click()
            said = driver.find_element("id", f"progress-{study}").text
            assert said == "Open a fleet first."
        driver.find_element("id", "solve").click()
        assert "Open a fleet first" in driver.find_element("id", "progress").text
        assert driver.get_log("browser") == []
