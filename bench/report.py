"""One page that shows what the benchmarks measured: report.html, and each section's plots as SVG and PNG.

    build/peers/plots/bin/python bench/report.py DIR [--into DIR]
    build/peers/plots/bin/python bench/report.py DIR|FILE.json --plot SECTION OUT.svg [OUT.png ...]

DIR holds the JSON files that the benchmarks write with --json (bench/run does it all).  What has no file is left out, and
the page says so.  Without matplotlib there are tables and no plots.  With --plot one section is drawn and no page made:
docs/scaling.svg is the section "threads".  The same JSON gives the same files, with the same matplotlib.
"""

import argparse
import pathlib
import sys

import page
from results import Malformed, read_all
from sections import BENCHMARKS, PLAN, sections_of

try:
    import plots
except ImportError as error:
    if not (error.name or "").startswith("matplotlib"):
        raise
    plots = None


def machine_of(section):
    """The machines of a section's runs, without their loads."""
    return "; ".join(dict.fromkeys(result.machine.partition(", load")[0] for result in section.results))


def section_html(section):
    if plots is None:
        return page.section_html(section, "", None)
    styles = plots.styles_of(plots.names_of(section.panels))
    items = "".join(f"<li>{plots.legend_svg(style)}{page.escape(name)}</li>" for name, style in styles.items())
    drawn = any(panel.x_scale != "bars" for panel in section.panels)
    legend = f'<ul class="legend" aria-label="Legend">{items}</ul>' if drawn else ""
    return page.section_html(section, legend, lambda panel, identity: plots.inline_svg(panel, styles, identity))


def notes_html(results, sections):
    """What there is no file of, which sections are left out for it, and what is in no section."""
    measured = {result.benchmark for result in results}
    shown = {section.key for section in sections}
    left_out = [title for key, _, title, *_ in PLAN if key not in shown]
    absent = [name for name in BENCHMARKS if name not in measured]
    others = [result for result in results if result.benchmark not in BENCHMARKS]
    parts = []
    if left_out or absent:
        missing = f"<p>There is no JSON file of: {page.escape(', '.join(absent))}.</p>" if absent else ""
        items = "".join(f"<li>{page.escape(title)}</li>" for title in left_out)
        parts.append(f'<section aria-labelledby="left-out"><h2 id="left-out">Left out</h2>{missing}'
                     + (f"<p>These sections would need runs that are not there:</p><ul>{items}</ul>" if items else "")
                     + "</section>")
    shown_paths = {result.path for section in sections for result in section.results}
    others = [result for result in results if result.path not in shown_paths]
    if others:
        parts.append('<section aria-labelledby="more"><h2 id="more">More figures</h2>'
                     + "".join(page.run_text(result) + page.table(result) + page.curve_tables(result)
                               for result in others) + "</section>")
    return "".join(parts)


def write_page(results, into):
    sections = sections_of(results)
    into.mkdir(parents=True, exist_ok=True)
    text = page.page([(section, section_html(section)) for section in sections], notes_html(results, sections))
    (into / "report.html").write_text(text, encoding="utf-8")
    if plots is None:
        print("matplotlib is not installed: no plots", file=sys.stderr)
        return
    for section in sections:
        figure = plots.picture(section, machine_of(section))
        for ending in ("svg", "png"):
            plots.save(figure, into / f"{section.key}.{ending}")
        plots.pyplot.close(figure)


def draw_one(results, key, outputs):
    section = next((section for section in sections_of(results) if section.key == key), None)
    if section is None:
        raise SystemExit(f"no figures for the section {key}: there are {', '.join(name for name, *_ in PLAN)}")
    if plots is None:
        raise SystemExit("matplotlib is not installed")
    figure = plots.picture(section, machine_of(section))
    for output in outputs:
        plots.save(figure, output)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=pathlib.Path, help="a folder of JSON files, or one")
    parser.add_argument("--into", type=pathlib.Path, help="where the page goes: that folder, unless given")
    parser.add_argument("--plot", nargs="+", metavar=("SECTION", "OUT"), help="draw one section into these files")
    options = parser.parse_args()
    if options.plot and len(options.plot) < 2:
        parser.error("--plot needs a section and a file")
    try:
        results = read_all(options.results)
    except (Malformed, OSError) as error:
        raise SystemExit(str(error)) from error
    if not results:
        raise SystemExit(f"no JSON file in {options.results}")
    if options.plot:
        draw_one(results, options.plot[0], options.plot[1:])
        return
    into = options.into or (options.results if options.results.is_dir() else options.results.parent)
    write_page(results, into)
    print(f"wrote {into / 'report.html'}")


if __name__ == "__main__":
    main()
