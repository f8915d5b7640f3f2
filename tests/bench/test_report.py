"""bench/report.py on tiny real runs: the page has every figure, stands alone, and is laid out by a browser if there is one.

    test_report.py FOLDER-OF-THE-BENCHMARKS
"""

import collections
import html.parser
import json
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

PROGRAMS = pathlib.Path(sys.argv.pop(1))
BENCH = pathlib.Path(__file__).parents[2] / "bench"
sys.path.insert(0, str(BENCH))
import peer_venvs  # noqa: E402 (its folder is known first)

PYTHON = peer_venvs.interpreter("plots") or sys.executable
CHROMIUM = shutil.which("chromium")
RUNS = {
    "map-500": "map --keys 500 --operations 500 --rounds 2 --threads 2",
    "map-900": "map --keys 900 --operations 500 --rounds 2 --threads 2",
    "growth": "growth --keys 3000 --rounds 2",
    "queue": "queue --milliseconds 2 --rounds 2",
    "retire": "retire --keys 500 --milliseconds 5 --rounds 2",
    "multi_get": "multi_get --keys 2000 --rounds 2",
    "miss_ratio": "miss_ratio --keys 5000 --requests 20000 --curve 3",
}
# As a program may write it that knows nothing of bench/report.c.
BY_HAND = {
    "benchmark": "stores", "machine": "a machine & <two> cores", "parameters": {"records": 1000},
    "figures": [{"store": store, "workload": workload, "keys": "zipf", "durability": "power", "threads": threads,
                 "per_second": 1000.5 * threads + len(store), "lower_quartile": 900.25, "upper_quartile": 3000.0,
                 "latency_ns": {"p50": 100, "p99": 20000, "p99.9": 300000, "p99.99": 4000000, "worst": 5e9}}
                for store in ("dictsqlite", "rocksdb") for workload in ("A", "C") for threads in (1, 2)]}
VOID = {"meta", "br", "path", "use", "link"}
BROWSER = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
# Said by the page about itself: whether anything is wider than the window, or than its frame.
PROBE = """<script>
const wide = [...document.querySelectorAll("figure")].filter(f => f.querySelector("svg")
  && f.querySelector("svg").getBoundingClientRect().right > f.getBoundingClientRect().right + 1).length;
document.body.dataset.layout = [document.documentElement.scrollWidth <= innerWidth, wide,
  [...document.querySelectorAll("figure svg")].filter(s => s.getBoundingClientRect().height > 40).length].join(" ");
</script></body>"""


class Page(html.parser.HTMLParser):
    """What a page has: its tags in balance, its names, what it refers to, its figures."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.references, self.labelled = [], [], [], []
        self.data, self.reading, self.words = [], None, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.references += [found[name] for name in ("href", "src", "xlink:href") if name in found]
        self.references += re.findall(r"url\(([^)]*)\)", " ".join(value or "" for value in found.values()))
        self.labelled += [found["aria-labelledby"]] if "aria-labelledby" in found else []
        if tag == "data":
            self.reading = float(found["value"])

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open and self.open[-1] == tag, (tag, self.open[-3:])
            self.open.pop()

    def handle_data(self, text):
        self.words.append(text)
        if self.reading is not None:
            self.data.append((self.reading, text))
            self.reading = None


def numbers_of(report):
    """All numbers of a file's figures."""
    found = []

    def collect(value):
        if isinstance(value, dict):
            for each in value.values():
                collect(each)
        elif isinstance(value, list):
            for each in value:
                collect(each)
        elif not isinstance(value, str):
            found.append(float(value))

    collect(report["figures"])
    return found


def make(folder):
    return subprocess.run([PYTHON, BENCH / "report.py", folder], capture_output=True, text=True, check=False)


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.temporary.name)
        for name, command in RUNS.items():
            program, *options = command.split()
            subprocess.run([PROGRAMS / program, *options, "--json", cls.folder / f"{name}.json"], check=True,
                           capture_output=True)
        (cls.folder / "stores.json").write_text(json.dumps(BY_HAND))
        made = make(cls.folder)
        if made.returncode != 0:
            raise AssertionError(made.stderr)
        cls.text = (cls.folder / "report.html").read_text(encoding="utf-8")
        cls.page = Page(cls.text)
        cls.has_plots = "<svg" in cls.text

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def runs(self):
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("*.json"))]

    def test_every_number_of_the_files_is_in_a_table(self):
        shown = collections.Counter(value for value, _ in self.page.data)
        for report in self.runs():
            missing = collections.Counter(numbers_of(report)) - shown
            self.assertEqual(missing, collections.Counter(), report["benchmark"])

    def test_what_is_read_is_what_is_meant(self):
        self.assertTrue(self.page.data)
        for value, text in self.page.data:
            self.assertAlmostEqual(float(text.replace(",", "")), value, delta=max(abs(value) * 1e-3, 1e-9))

    def test_every_run_says_on_what_and_how_to_repeat_it(self):
        words = "".join(self.page.words)
        for report in self.runs():
            self.assertIn(report["machine"], words)
            for figure in report["figures"]:
                for label in (value for value in figure.values() if isinstance(value, str)):
                    self.assertIn(label, words)
            for hash_ in report.get("work", {}).values():
                self.assertIn(hash_, words)
        self.assertIn("build/release/bench/map --keys 500 --operations 500", words)

    def test_the_page_stands_alone(self):
        outside = [reference for reference in self.page.references if not reference.startswith("#")]
        self.assertEqual(outside, [])
        self.assertEqual(re.findall(r"https?:|@import|<script|<link|<img", self.text), [])
        self.assertEqual([name for name in self.page.references if name[1:] not in self.page.ids], [])

    def test_names_are_unique_and_tags_in_balance(self):
        self.assertEqual([name for name, count in collections.Counter(self.page.ids).items() if count > 1], [])
        self.assertEqual(self.page.open, [])
        self.assertEqual([name for name in self.page.labelled if name not in self.page.ids], [])

    def test_what_was_not_measured_is_named(self):
        left_out = self.text[self.text.index('id="left-out"'):]
        for absent in ("durable", "encryption", "python_speed", "cache"):
            self.assertIn(absent, left_out)
        self.assertIn("Bounded caches", left_out)
        self.assertNotIn("A put while the table grows", left_out)

    def test_a_file_that_is_no_result_is_an_error(self):
        for text in ("{", "[]", '{"benchmark": "map"}',
                     '{"benchmark": "map", "machine": "m", "parameters": {}, "figures": [{"per_second": 1}]}'):
            with self.subTest(text=text), tempfile.TemporaryDirectory() as folder:
                pathlib.Path(folder, "torn.json").write_text(text)
                made = make(folder)
                self.assertNotEqual(made.returncode, 0)
                self.assertIn("torn.json", made.stderr)
                self.assertNotIn("Traceback", made.stderr)

    def test_every_section_has_its_plots(self):
        if not self.has_plots:
            self.skipTest("matplotlib is not installed")
        self.assertEqual(self.text.count("<figure>"), self.text.count('role="img"'))
        for name in ("threads", "table-size", "growth", "latency", "miss-ratio", "stores"):
            self.assertTrue((self.folder / f"{name}.png").read_bytes().startswith(b"\x89PNG"))
            self.assertIn("<svg", (self.folder / f"{name}.svg").read_text())

    def test_one_section_is_drawn_by_itself_the_same_each_time(self):
        if not self.has_plots:
            self.skipTest("matplotlib is not installed")
        drawn = []
        for name in ("first.svg", "second.svg"):
            out = self.folder / name
            subprocess.run([PYTHON, BENCH / "report.py", self.folder / "map-500.json", "--plot", "threads", out],
                           check=True)
            drawn.append(out.read_bytes())
        self.assertEqual(drawn[0], drawn[1])

    def test_a_browser_lays_it_out_within_wide_and_narrow_windows(self):
        if CHROMIUM is None or not self.has_plots:
            self.skipTest("chromium or matplotlib is not installed")
        probed = self.folder / "probed.html"
        probed.write_text(self.text.replace("</body>", PROBE), encoding="utf-8")
        for width in (1280, 500):
            shot = self.folder / f"{width}.png"
            window = f"--window-size={width},2000"
            dumped = subprocess.run([CHROMIUM, *BROWSER, window, "--dump-dom", probed.as_uri()], capture_output=True,
                                    text=True, check=True, timeout=120).stdout
            fits, wide, drawn = re.search(r'data-layout="(\w+) (\d+) (\d+)"', dumped).groups()
            self.assertEqual((fits, int(wide), int(drawn)), ("true", 0, self.text.count("<figure>")), width)
            subprocess.run([CHROMIUM, *BROWSER, window, f"--screenshot={shot}", probed.as_uri()], check=True,
                           capture_output=True, timeout=120)
            self.assertEqual(struct.unpack(">II", shot.read_bytes()[16:24]), (width, 2000))


if __name__ == "__main__":
    unittest.main()
