"""The one page of HTML that bench/report.py writes: nothing outside it is needed to read it."""

import html

from results import LATENCIES, QUARTILES
from sections import best_other
from units import exact, human, human_time

STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1c1f23; --quiet: #555b63; --grid: #dcdfe3; --card: #f6f7f9; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #15181c; --ink: #e8eaed; --quiet: #a6adb6; --grid: #3a4048; --card: #1d2126; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 90rem; padding: 1rem clamp(0.75rem, 3vw, 2.5rem); background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
h1 { line-height: 1.2; }
h2 { margin: 2.5rem 0 0.25rem; padding-top: 1rem; border-top: 1px solid var(--grid); }
p { max-width: 75ch; }
a { color: inherit; }
nav ul { columns: 18rem; padding-left: 1.2rem; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: 1rem;
  align-items: start; }
figure { margin: 0; padding: 0.75rem; background: var(--card); border-radius: 0.5rem; min-width: 0; }
figure h3 { margin: 0 0 0.25rem; font-size: 1rem; overflow-wrap: anywhere; }
figure svg { display: block; width: 100%; height: auto; }
figcaption { font-size: 0.9rem; color: var(--quiet); }
.legend { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; list-style: none; padding: 0; }
.legend svg { vertical-align: -0.1em; margin-right: 0.35rem; }
details { margin: 0.75rem 0; }
summary { cursor: pointer; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.85rem; margin: 0.5rem 0 1rem; }
caption { text-align: left; font-weight: 600; padding: 0.25rem 0; }
th, td { padding: 0.2rem 0.6rem; border-bottom: 1px solid var(--grid); text-align: left; white-space: nowrap; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
code, pre { font-family: ui-monospace, monospace; font-size: 0.85rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--card); padding: 0.6rem; border-radius: 0.5rem; }
"""
HEADINGS = {"per_second": "a second, median", "lower_quartile": "lower quartile", "upper_quartile": "upper quartile"}


def escape(text):
    return html.escape(str(text), quote=True)


def words(name):
    return HEADINGS.get(name, name.replace("_", " "))


def value_cell(value):
    """The exact number in the markup, a readable one in sight."""
    return f'<td class="number"><data value="{value!r}">{escape(exact(value))}</data></td>' if value is not None \
        else '<td class="number"></td>'


def columns_of(figures):
    """Labels, numbers and percentiles that any of the figures has; medians with their quartiles come first."""
    labels = list(dict.fromkeys(key for figure in figures for key in figure.labels))
    numbers = list(dict.fromkeys(key for figure in figures for key in figure.numbers))
    first = [key for key in ("threads", "per_second", *QUARTILES) if key in numbers]
    percentiles = [name for name in LATENCIES if any(name in figure.latency_ns for figure in figures)]
    return labels, first + [key for key in numbers if key not in first], percentiles


def table(result):
    labels, numbers, percentiles = columns_of(result.figures)
    head = ["<th scope=\"col\">measured</th>", *(f'<th scope="col">{escape(words(key))}</th>' for key in labels),
            *(f'<th scope="col" class="number">{escape(words(key))}</th>' for key in numbers),
            *(f'<th scope="col" class="number">{escape(name)}, ns</th>' for name in percentiles)]
    rows = []
    for figure in result.figures:
        rows.append("".join([
            f'<tr><th scope="row">{escape(figure.name)}</th>',
            *(f"<td>{escape(figure.labels.get(key, ''))}</td>" for key in labels),
            *(value_cell(figure.numbers.get(key)) for key in numbers),
            *(value_cell(figure.latency_ns.get(name)) for name in percentiles), "</tr>"]))
    return (f'<div class="scroll" role="region" tabindex="0" aria-label="figures of {escape(result.path.name)}"><table>'
            f"<caption>{escape(result.path.name)}</caption><thead><tr>{''.join(head)}</tr></thead>"
            f"<tbody>{''.join(rows)}</tbody></table></div>")


def curve_tables(result):
    """The points of the curves, which have no columns of their own."""
    parts = []
    for figure in result.figures:
        for name, points in figure.curves.items():
            rows = "".join(f"<tr>{value_cell(x)}{value_cell(y)}</tr>" for x, y in points)
            parts.append(f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(words(name))}"><table>'
                         f"<caption>{escape(figure.name)}: {escape(words(name))}</caption><thead><tr>"
                         f'<th scope="col" class="number">x</th><th scope="col" class="number">y</th></tr></thead>'
                         f"<tbody>{rows}</tbody></table></div>")
    return "".join(parts)


def run_text(result):
    """On what, with which parameters, and how to do it again."""
    parameters = ", ".join(f"{name.replace('_', ' ')} {value:,}" if isinstance(value, int) else
                           f"{name.replace('_', ' ')} {value}" for name, value in result.parameters.items())
    work = ", ".join(f"{name} {value}" for name, value in result.work.items())
    return (f"<p><strong>{escape(result.path.name)}</strong>: {escape(result.machine)}.<br>{escape(parameters)}."
            + (f"<br>Hash of the work: {escape(work)}." if work else "") + "</p>"
            f"<pre><code>{escape(result.command)}</code></pre>")


def comparison(panel):
    """Ours beside the best of the others, in a sentence; nothing where there is only one of the two."""
    found = best_other(panel)
    if found is None:
        return ""
    (name, own), (other, best) = found
    show = human_time if panel.y_label == "latency" else human
    where = f" at {own.x:,.0f} {panel.x_label}"
    if panel.x_scale == "bars":
        where = ""
    elif panel.x_scale == "names":
        where = f" at the {panel.ticks[int(own.x)]}"
    ratio = f", ×{own.y / best.y:.2f}" if best.y else ""
    return f" {name} {show(own.y)}, best of the others {other} {show(best.y)}{ratio}{where}."


def better(panel):
    if panel.x_scale == "bars":
        return "Longer is better." if panel.higher_is_better else "Shorter is better."
    return "Higher is better." if panel.higher_is_better else "Lower is better."


def panel_figure(panel, identity, drawing):
    svg = drawing(panel, identity) if drawing else ""
    return (f'<figure><h3 id="{identity}-title">{escape(panel.title)}</h3>{svg}'
            f"<figcaption>{better(panel)}{escape(comparison(panel))}</figcaption></figure>")


def section_html(section, legend, drawing):
    """legend: HTML; drawing: what makes an <svg> of a panel and a name, or None."""
    figures = "".join(panel_figure(panel, f"{section.key}-{i}", drawing) for i, panel in enumerate(section.panels))
    count = sum(len(result.figures) for result in section.results)
    return (f'<section aria-labelledby="{section.key}"><h2 id="{section.key}">{escape(section.title)}</h2>'
            f"<p>{escape(section.text)}</p>{legend}"
            f'<div class="panels">{figures}</div>'
            f"<details><summary>Machine, parameters and how to reproduce</summary>"
            f"{''.join(map(run_text, section.results))}</details>"
            f"<details><summary>{'All ' if count > 1 else ''}{count} figure{'s' if count > 1 else ''}</summary>"
            f"{''.join(table(result) + curve_tables(result) for result in section.results)}</details></section>")


def page(sections, notes):
    """The document, of sections as (Section, HTML); notes: HTML of what is left out."""
    contents = "".join(f'<li><a href="#{section.key}">{escape(section.title)}</a></li>' for section, _ in sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>dictsqlite: benchmarks</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>dictsqlite: how fast it is, and beside what</h1>
<p>Each section asks one question, shows the answer as pictures, says how to ask again, and has all the figures in a
table. Points and bars are medians over rounds in which all that is compared takes turns; thin lines reach from the lower
quartile to the upper one. dictsqlite is drawn in vermilion. Figures mean something on an otherwise idle machine only:
each run says how loaded its machine was.</p>
</header>
<nav aria-label="Contents"><ul>{contents}</ul></nav>
<main>
{"".join(text for _, text in sections)}
{notes}
</main>
</body>
</html>
"""
