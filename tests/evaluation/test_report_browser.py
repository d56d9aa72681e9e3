"""The report in headless Chromium: what its script makes of the page against the evaluation, and no word on the console.

Chromium is run by its command line. Where a test has to click, the report stands in a frame of a page with a script of its own.
"""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image
from report_examples import HOSTILE, Page, cells, evaluation

from stajax.evaluation.report import write_html
from stajax.evaluation.results import METRICS

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the path")


def chromium(address, tmp_path, *options):
    """What it prints; AssertionError where the page says anything on the console."""
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--v=0", "--virtual-time-budget=5000"]
    command += ["--window-size=1100,900", "--allow-file-access-from-files", *options, address]  # the last of a size counts
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert [line for line in run.stderr.splitlines() if ":CONSOLE" in line] == []
    return run.stdout


@pytest.fixture(scope="module")
def e():
    return evaluation(models=("net", "centre_prior", "chance"), frames=20)


@pytest.fixture
def address(e, tmp_path):
    write_html(e, tmp_path / "report.html")
    return (tmp_path / "report.html").as_uri()


def opened(address, tmp_path):
    """The page as it is once its script has run."""
    return Page(chromium(address, tmp_path, "--dump-dom"))


def acted(address, tmp_path, script, width=1100):
    """What a script returns that may use `view` (the report's window), `page` (its document) and `all(selector)`."""
    outer = tmp_path / "outer.html"
    outer.write_text(
        f"""<!DOCTYPE html><body style="margin:0">
        <iframe src="{address}" style="border:0;width:{width}px;height:800px"></iframe><pre></pre><script>onload = () => {{
          const view = document.querySelector("iframe").contentWindow, page = view.document;
          const all = (selector) => [...page.querySelectorAll(selector)];
          const result = (() => {{ {script} }})();
          document.querySelector("pre").textContent = JSON.stringify(result);
        }}</script></body>"""
    )
    printed = chromium(outer.as_uri(), tmp_path, "--dump-dom", f"--window-size={width + 100},900")
    return json.loads(Page(printed).one("pre").text)


def rows_shown(page):
    return [cells(row) for row in page.one("table", class_="videos").all("tr")[1:] if "hidden" not in row.attributes]


@pytest.mark.parametrize("order", ["descending", "ascending"])
def test_a_link_opens_the_table_sorted_as_the_numbers_are(e, address, tmp_path, order):
    page = opened(f"{address}#sort=NSS&order={order}&model=all", tmp_path)
    shown = [float(row[8]) for row in rows_shown(page)]
    expected = sorted(np.round(e.per_video()["nss"], 3), reverse=order == "descending")
    np.testing.assert_allclose(shown, expected, atol=1e-9)
    sorted_by = {
        head.text: head.attributes["aria-sort"] for head in page.one("table", class_="videos").all("thead")[0].all("th")
    }
    assert sorted_by.pop("NSS") == order
    assert set(sorted_by.values()) == {"none"}


def test_missing_values_sort_last_and_names_sort_by_their_numbers(e, tmp_path):
    e = evaluation(models=("net",), listed=[("X", "", name) for name in ("v10", "v2", "v1")])
    for metric in METRICS:
        e.rows[metric][e.rows["video"] == "v2"] = np.nan
    write_html(e, tmp_path / "report.html")
    script = """
        const names = () => all("table.videos tbody th").map((cell) => cell.textContent);
        const [video, , metric] = all("table.videos th button");
        const seen = [];
        for (const button of [video, video, metric, metric]) { button.click(); seen.push(names()); }
        return seen;"""
    up, down, *by_metric = acted((tmp_path / "report.html").as_uri(), tmp_path, script)
    assert up == ["v1", "v2", "v10"] and down == up[::-1]
    assert [names[-1] for names in by_metric] == ["v2", "v2"]
    assert by_metric[0][:2] == by_metric[1][1::-1]


def test_curves_of_a_linked_video_have_a_point_for_each_value(e, address, tmp_path):
    page = opened(f"{address}#video=ETMD/E1/3", tmp_path)
    charts = page.all("figure", class_="chart")
    assert [chart.all("b")[0].text for chart in charts] == ["AUC-J", "SIM", "s-AUC", "CC", "NSS"]
    for chart, metric in zip(charts, METRICS, strict=True):
        lines = {line.attributes["class"]: line.attributes["d"] for line in chart.all("path", class_="line")}
        assert set(lines) == {"line m0 prediction", "line m1", "line m2"}
        for i, model in enumerate(e.models):
            rows = e.select(model=model, video="E1")
            points = re.findall(r"[ML]([\d.]+) ([\d.]+)", lines[f"line m{i}" + " prediction" * (i == 0)])
            there = np.isfinite(rows[metric])
            assert len(points) == there.sum()
            x, y = np.array(points, float).T
            # Drawn to 0.1 px; scores lie on straight lines from values to pixels.
            assert np.abs(x - np.polyval(np.polyfit(rows["time"][there], x, 1), rows["time"][there])).max() < 0.3
            assert np.abs(y - np.polyval(np.polyfit(rows[metric][there], y, 1), rows[metric][there])).max() < 0.5
            assert np.polyfit(rows[metric][there], y, 1)[0] < 0


def test_pointing_and_arrow_keys_read_the_values(e, address, tmp_path):
    script = """
        const said = () => all(".chart output").map((output) => output.textContent);
        const at = () => page.getElementById("at").textContent;
        const charts = page.getElementById("charts");
        const press = (key) => charts.dispatchEvent(new view.KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
        const seen = [said()];
        press("ArrowRight"); press("ArrowRight"); seen.push([at(), ...said()]);
        press("End"); seen.push([at(), ...said()]);
        press("Escape"); seen.push(said());
        const picture = all(".chart svg")[0], box = picture.getBoundingClientRect();
        picture.dispatchEvent(new view.PointerEvent("pointermove", {clientX: box.right - 9, clientY: box.top + 50}));
        seen.push([at(), ...said()]);
        return seen;"""
    means, second, last, again, pointed = acted(f"{address}#video=ETMD/E1/3", tmp_path, script)
    names = ("net", "centre prior", "chance")
    rows = [e.select(model=model, video="E1") for model in e.models]

    def told(place):
        values = [[row[metric][place] for row in rows] for metric in METRICS]
        return [
            " · ".join(f"{name} {'–' if np.isnan(v) else f'{v:.3f}'}" for name, v in zip(names, row, strict=True))
            for row in values
        ]

    assert second == ["0.36 s, frame 10", *told(1)]
    assert last == pointed == ["1.08 s, frame 28", *told(19)]
    videos = e.per_video()
    of = [np.flatnonzero((videos["model"] == model) & (videos["video"] == "E1"))[0] for model in e.models]
    for metric, text in zip(METRICS, means, strict=True):
        assert text == "mean: " + " · ".join(f"{n} {videos[metric][i]:.3f}" for n, i in zip(names, of, strict=True))
    assert again == means


def test_choices_change_the_page_and_its_link(e, address, tmp_path):
    script = """
        const visible = () => all("table.videos tbody tr").filter((row) => !row.hidden).length;
        const seen = [visible(), all("table.videos tbody tr").length];
        const model = page.getElementById("model");
        model.value = "all"; model.dispatchEvent(new view.Event("change"));
        seen.push(visible());
        all("table.videos th button")[8].click();
        const link = all("table.videos tbody a").find((a) => a.textContent === "A10");
        link.click();
        seen.push(page.getElementById("video").selectedOptions[0].textContent, view.location.hash);
        const video = page.getElementById("video");
        video.selectedIndex = 2; video.dispatchEvent(new view.Event("change"));
        seen.push(view.location.hash);
        return seen;"""
    first, total, every, chosen, link, after = acted(address, tmp_path, script)
    assert (first, total, every) == (4, 12, 12)
    assert chosen == "AVAD · A10 · split 1"
    assert link == "#model=all&sort=NSS&order=descending&video=AVAD%2FA10%2F1"
    assert after.endswith("&video=AVAD%2FA9%2F2")
    page = opened(address + link, tmp_path)
    assert len(rows_shown(page)) == 12 and "net" in page.all("output")[0].text


def test_hostile_names_do_nothing_but_stand_there(tmp_path):
    e = evaluation(models=(HOSTILE, "chance"), listed=[(HOSTILE, HOSTILE, HOSTILE), (HOSTILE, HOSTILE, "other")])
    write_html(e, tmp_path / "report.html", title="title", command=HOSTILE)
    script = """
        all("table.videos tbody a")[0].click();
        return [page.title, page.images.length, all("#legend li")[0].textContent,
            page.getElementById("video").selectedOptions[0].textContent];"""
    got = acted((tmp_path / "report.html").as_uri(), tmp_path, script)
    assert got == ["title", 0, HOSTILE, HOSTILE]


@pytest.mark.parametrize("width", [360, 1100, 1500])
def test_only_tables_scroll_sideways(tmp_path, width):
    from stajax.evaluation.metrics import BESIDE

    e = evaluation(models=("net", "centre_prior"))
    e.rows.update(dict.fromkeys(BESIDE, e.rows["nss"]))
    write_html(e, tmp_path / "report.html")
    address = (tmp_path / "report.html").as_uri()
    script = """return [page.documentElement.scrollWidth, all(".chart svg").map((svg) => svg.getBoundingClientRect().right),
        view.getComputedStyle(all(".scroll")[0]).overflowX];"""
    page_width, rights, overflow = acted(address, tmp_path, script, width)
    assert page_width <= width and max(rights) <= width and len(rights) == 9 and overflow == "auto"


def test_images_have_no_curves_and_no_errors(tmp_path):
    write_html(evaluation(listed=[("OSIE", "test", "1001"), ("OSIE", "test", "1002")], frames=1), tmp_path / "report.html")
    page = opened((tmp_path / "report.html").as_uri() + "#sort=CC&video=1001", tmp_path)
    assert not page.all("figure", class_="chart")
    assert len(rows_shown(page)) == 2


def test_light_and_dark(address, tmp_path):
    grounds = []
    for options in ([], ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"]):
        chromium(address, tmp_path, f"--screenshot={tmp_path / 'shot.png'}", *options)
        grounds.append(np.asarray(Image.open(tmp_path / "shot.png").convert("L"))[5, 5])
    assert grounds[0] > 230 and grounds[1] < 40
