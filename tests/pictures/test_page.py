"""The page: what stands in it, and in a browser that it works, looks like something, and asks for nothing."""

import io
import json
import os
import re
import shutil
import sys

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import lrcore as lr
from lrcore import _page, linting, plotting
from lrcore._page import page
from strategies import schedules

RUN = 1_000_000
EACH = 5_000
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def document(four):
    return page(four, RUN, steps_per_epoch=EACH, title="Four & <more>")


def own_part(document):
    """The page without plotly's script."""
    return document.replace(_page._library(), "")


def data_of(document):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', document, re.DOTALL)[1])


# --- What stands in it


def test_the_same_input_gives_the_same_bytes(four, document):
    assert page(four, RUN, steps_per_epoch=EACH, title="Four & <more>") == document


def test_the_data_are_the_schedules_own(four, document):
    data = data_of(document)
    steps = data["steps"]
    assert [curve["name"] for curve in data["curves"]] == list(four)
    assert steps[0] == 0
    assert steps[-1] == RUN - 1
    assert {49_999, 50_000, 399_999, 400_000, 400_001} <= set(steps)
    for curve, schedule in zip(data["curves"], four.values(), strict=True):
        assert curve["values"] == [schedule(step) for step in steps]
    assert [steps[at] for at in data["curves"][2]["jumps"]] == [200_000, 400_000, 600_000, 800_000]
    assert data["curves"][0]["boundaries"] == [50_000]


@settings(deadline=None, max_examples=25)
@given(schedule=schedules(2), n=st.integers(1, 10**6))
def test_any_schedule_has_a_page(schedule, n):
    data = data_of(page(schedule, n, steps_per_epoch=7))
    assert data["curves"][0]["values"] == [schedule(step) for step in data["steps"]]


def test_a_text_stays_a_text(document):
    """Three scripts and no more: the data, plotly's and ours."""
    own = own_part(document)
    assert "alert(1)</script>" not in own
    assert len(re.findall("<script", own)) == 3
    assert "<title>Four &amp; &lt;more&gt;</title>" in own
    assert "<b>" not in own


def test_nothing_is_loaded_from_elsewhere(document):
    own = own_part(document)
    assert not re.findall(r"""\s(?:src|href|action)\s*=|https?://|@import|url\(""", own)


def test_the_policy_allows_two_scripts_by_their_hashes(document):
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', document)
    allowed = dict(item.split(" ", 1) for item in policy.split("; "))
    assert allowed["default-src"] == "'none'"
    assert re.fullmatch(r"'sha256-\S{44}' 'sha256-\S{44}'", allowed["script-src"])
    assert allowed["img-src"] == "data: blob:"


def test_tables_and_findings_stand_in_it(four, document):
    own = own_part(document)
    assert own.count("<article") == len(four)
    assert own.count("<h1>") == 1
    assert own.count('<th scope="col">') >= 3 * len(four)
    found = [each for schedule in four.values() for each in linting.lint(schedule, RUN, steps_per_epoch=EACH)]
    assert found
    for finding in found:
        assert f"<strong>{finding.name}</strong>" in own


def test_a_schedule_alone_is_judged_by_its_length():
    """What is drawn beyond its end is for the eye, no longer run."""
    own = own_part(page(lr.warmup_cosine(0.1, 0.0, 100, 1000)))
    assert "The first 1,050 updates." in own
    assert "1,000 updates" in own


def test_a_schedule_that_is_0_has_no_log_axis():
    assert data_of(page(lr.Constant(0.0), 10))["range"] is None
    with pytest.raises(ValueError, match=r"page.log: expected a value above 0 somewhere, got values from 0"):
        page(lr.Constant(0.0), 10, log=True)


def test_a_durations_unit_is_asked_for():
    with pytest.raises(lr.UnboundError, match="steps_per_epoch"):
        page(lr.Linear(0.1, 0.0, "5ep"), 100)


def test_a_missing_plotly_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(ImportError, match=r"pip install 'lrcore\[plot\]'"):
        page(lr.Linear(0.1, 0.0, 10))


# --- In a browser


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("the page is tested in Chromium, and there is none")
        pytest.skip("no Chromium here")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


class Opened:
    """A page that is shown, and all that it said and asked for meanwhile."""

    def __init__(self, tab):
        self.tab, self.said, self.asked = tab, [], []
        tab.set_default_timeout(20_000)
        tab.on("console", lambda message: self.said.append(message.text))
        tab.on("pageerror", lambda error: self.said.append(str(error)))
        tab.on("dialog", lambda dialog: self.said.append(f"dialog: {dialog.message}") or dialog.dismiss())
        tab.on("request", lambda request: self.asked.append(request.url))

    def text(self, selector):
        return self.tab.locator(selector).inner_text()

    def layout(self, path):
        return self.tab.evaluate(f"document.getElementById('chart').layout.{path}")

    def hover(self, across, down=0.5):
        """Moves to a place of the chart, and waits until the step that is read has changed."""
        box = self.tab.locator("#chart .nsewdrag").first.bounding_box()
        before = self.text("#step")
        self.tab.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
        self.tab.wait_for_function("before => document.getElementById('step').innerText !== before", arg=before)

    def picture(self):
        return matplotlib.image.imread(io.BytesIO(self.tab.screenshot()))[:, :, :3]


@pytest.fixture
def opened(browser, document, tmp_path):
    """Opens a document from its file."""
    contexts = []

    def show(text=document, **options):
        path = tmp_path / "page.html"
        path.write_text(text, encoding="utf-8")
        contexts.append(browser.new_context(**{"viewport": DESK, "color_scheme": "light", **options}))
        shown = Opened(contexts[-1].new_page())
        shown.tab.goto(path.as_uri())
        shown.tab.wait_for_selector("html[data-ready]")
        return shown

    yield show
    for context in contexts:
        context.close()


def test_it_opens_without_a_word_and_asks_for_nothing(opened):
    shown = opened()
    shown.hover(0.3)
    shown.tab.click("#log")
    shown.tab.wait_for_timeout(300)
    assert shown.said == []
    assert len(shown.asked) == 1
    assert all(url.startswith(("file:", "data:", "blob:")) for url in shown.asked)


def test_hovering_reads_the_exact_value_of_each_schedule(opened, four):
    shown = opened()
    for across in (0.01, 0.123, 0.4, 0.75, 0.99):
        shown.hover(across)
        update, epoch = re.fullmatch(r"([\d,]+) \(epoch ([\d.]+)\)", shown.text("#step")).groups()
        step = int(update.replace(",", ""))
        assert step == pytest.approx(across * RUN, abs=0.003 * RUN)
        assert float(epoch) == pytest.approx(step / EACH, abs=1e-4)
        read = [float(shown.text(f"#value{at}")) for at in range(len(four))]
        assert read == [schedule(step) for schedule in four.values()]


def test_arrow_keys_read_on(opened, document):
    shown, steps = opened(), data_of(document)["steps"]
    shown.tab.focus("#chart")
    for key, at in (
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("ArrowLeft", 1),
        ("Shift+ArrowRight", 1 + -(-len(steps) // 50)),
    ):
        shown.tab.keyboard.press(key)
        assert int(shown.text("#step").split()[0].replace(",", "")) == steps[at]
    assert shown.said == []


def test_the_axis_changes_between_linear_and_log(opened):
    shown = opened()
    assert shown.layout("yaxis.type") == "linear"
    shown.tab.click("#log")
    assert shown.layout("yaxis.type") == "log"
    assert shown.tab.get_attribute("#log", "aria-pressed") == "true"
    assert "0 and less lie below a log axis" in shown.text("#note")
    shown.hover(0.99)
    assert 0.0 < float(shown.text("#value0")) < 1e-4
    shown.tab.click("#linear")
    assert shown.layout("yaxis.type") == "linear"


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("back", ["button", "double click"])
def test_zooming_takes_the_epochs_along_and_all_is_shown_again(opened, scale, back):
    shown = opened()
    shown.tab.click(f"#{scale}")
    values = shown.layout("yaxis.range")
    box = shown.tab.locator("#chart .nsewdrag").first.bounding_box()
    shown.tab.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.2 * box["height"])
    shown.tab.mouse.down()
    shown.tab.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.8 * box["height"], steps=5)
    shown.tab.mouse.up()
    shown.tab.wait_for_function("document.getElementById('chart').layout.xaxis.range[0] > 100000")
    begin, end = shown.layout("xaxis.range")
    assert (begin, end) == (pytest.approx(0.3 * RUN, rel=0.02), pytest.approx(0.6 * RUN, rel=0.02))
    assert shown.layout("xaxis2.range") == pytest.approx([begin / EACH, end / EACH])
    assert shown.layout("yaxis.range") != values
    if back == "button":
        shown.tab.click("#reset")
    else:
        shown.tab.mouse.dblclick(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    shown.tab.wait_for_function("document.getElementById('chart').layout.xaxis.range[0] === 0")
    assert shown.layout("xaxis.range") == [0, RUN]
    assert shown.layout("xaxis2.range") == [0, RUN / EACH]
    assert shown.layout("yaxis.range") == values


def test_a_curve_is_taken_away_and_brought_back(opened):
    shown = opened()
    lines = "document.querySelectorAll('#chart .scatterlayer .trace').length"
    all_of_them = shown.tab.evaluate(lines)
    shown.tab.locator(".read input").nth(1).uncheck()
    shown.tab.wait_for_function(f"{lines} === {all_of_them - 1}")
    shown.tab.locator(".read input").nth(1).check()
    shown.tab.wait_for_function(f"{lines} === {all_of_them}")


def test_names_are_shown_as_they_are(opened, four):
    shown = opened()
    assert shown.tab.locator("article h2").all_inner_texts() == list(four)
    assert shown.text("h1") == "Four & <more>"


def test_a_script_that_got_in_would_not_run(opened, document):
    shown = opened(document.replace("</main>", "</main><script>document.title = 'run'</script>"))
    assert shown.tab.title() == "Four & <more>"
    assert any("Content Security Policy" in text for text in shown.said)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_drawn_in_both_colour_schemes(opened, scheme):
    picture = opened(color_scheme=scheme).picture()
    assert (picture.mean() > 0.8) == (scheme == "light")
    assert (picture.mean() < 0.2) == (scheme == "dark")
    colours = {tuple(pixel) for pixel in np.round(picture[::2, ::2].reshape(-1, 3), 1)}
    curves = {"light": (0.2, 0.4, 0.7), "dark": (0.4, 0.7, 0.9)}
    assert len(colours) > 20
    assert any(np.allclose(colour, curves[scheme], atol=0.05) for colour in colours)


@pytest.mark.parametrize("size", [PHONE, DESK])
def test_everything_fits_the_width(opened, size):
    shown = opened(viewport=size)
    assert shown.tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for selector in ("h1", "#chart svg", ".card table", ".findings"):
        assert shown.tab.locator(selector).first.is_visible()


def test_a_page_from_a_file(opened, tmp_path):
    path = tmp_path / "lr.html"
    plotting.write_picture(path, lr.sgdr(0.1, 0.0, 100), 1000, log=True)
    shown = opened(path.read_text(encoding="utf-8"))
    shown.hover(0.5)
    assert shown.said == []
    step = int(shown.text("#step"))
    assert float(shown.text("#value0")) == lr.sgdr(0.1, 0.0, 100)(step)
