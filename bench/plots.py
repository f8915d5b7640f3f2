"""Panels of bench/report.py drawn by matplotlib: one for a page of HTML, or all of a section in one picture.

The same panels give the same files, byte for byte, with the same matplotlib.
"""

import io
import itertools
import re
import textwrap

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams.update({
    "svg.hashsalt": "dictsqlite", "font.family": "DejaVu Sans", "font.size": 8, "axes.spines.top": False,
    "axes.spines.right": False})
from matplotlib import markers, pyplot, ticker  # noqa: E402 (the backend is chosen first)

from results import OURS  # noqa: E402
from units import human, human_time  # noqa: E402

INK, GRID = "#222222", "#dddddd"
for _name in ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"):
    matplotlib.rcParams[_name] = INK
# Okabe and Ito's colours, which the colour-blind can tell apart; marks and dashes tell those that share one.
OURS_STYLE = ("#D55E00", "o", "-")
KNOWN = {
    "papaya": ("#0072B2", "s", "-"), "dashmap": ("#56B4E9", "^", "-"), "scc": ("#009E73", "v", "-"),
    "tbb": ("#CC79A7", "D", "-"), "libcuckoo": ("#E69F00", "P", "-"), "rculfhash": (INK, "x", "-"),
    "mutex+std": ("#888888", "s", ":"), "mutex+absl": ("#888888", "D", "--"), "no threads": (INK, "*", ":"),
    "libcds": ("#0072B2", "X", "--"), "ck_hs": ("#009E73", "<", "--"),
}
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", INK, "#888888")
MARKS, DASHES = ("s", "^", "D", "v", "P", "X", "<"), ("-", "--", ":")
COLUMNS = 3
PANEL_INCHES = (4.2, 2.7)
BAR_INCHES, BAR_MARGIN_INCHES = 0.24, 0.75
TITLE_CHARACTERS = 34
TICKS_MAX = 7  # more are left to matplotlib to choose
LOGARITHMIC_FROM = 30  # times the least
FEW_DECADES = 200  # times the least; below it a logarithmic axis gets more marks than powers of ten


def styles_of(names):
    """Colour, mark and dash of each name: those that are known, and different ones for the rest."""
    free = ((colour, mark, dash) for dash in DASHES for colour, mark in zip(COLOURS, MARKS))
    taken = {KNOWN[name] for name in names if name in KNOWN}
    fresh = (style for style in free if style not in taken)
    styles = {}
    ours = itertools.cycle(DASHES)
    for name in names:
        if name.startswith(OURS):
            styles[name] = (*OURS_STYLE[:2], next(ours))
        else:
            styles[name] = KNOWN.get(name) or next(fresh, COLOURS[:1] + MARKS[:1] + DASHES[:1])
    return styles


def names_of(panels):
    """Ours, then the others, in the order in which they come."""
    names = list(dict.fromkeys(name for panel in panels for name, points in panel.series.items() if points))
    return sorted(names, key=lambda name: not name.startswith(OURS))


def format_value(panel):
    label = panel.y_label or panel.x_label
    if label == "latency":
        return human_time
    return human


def draw_bars(axes, panel, styles, height):
    names = [name for name in styles if panel.series.get(name)]
    show = format_value(panel)
    values = [point.y for name in names for point in panel.series[name][-1:] if point.y > 0]
    logarithmic = values and max(values) > LOGARITHMIC_FROM * min(values)
    for place, name in enumerate(names):
        point, (colour, mark, _) = panel.series[name][-1], styles[name]
        if logarithmic:
            axes.plot([point.y], [place], color=colour, marker=mark, markersize=6)
        else:
            axes.barh(place, point.y, color=colour, height=0.62, alpha=0.85)
        axes.plot([point.low, point.high], [place, place], color=INK, linewidth=1)
        axes.annotate(show(point.y), (max(point.y, point.high), place), (5, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(names)), names)
    # A bar is as thick beside taller neighbours.
    axes.set_ylim((height - BAR_MARGIN_INCHES) / BAR_INCHES - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    if logarithmic:
        axes.set_xscale("log")
        low, high = min(values), max(max(point.high for point in panel.series[name]) for name in names)
        axes.set_xlim(low / 2, high * (high / low) ** 0.25)
        axes.xaxis.set_minor_locator(ticker.NullLocator())
    else:
        axes.set_xlim(0, 1.25 * max([panel.series[name][-1].high for name in names] + values + [1e-9]))
        axes.xaxis.set_major_locator(ticker.MaxNLocator(5))
    axes.xaxis.set_major_formatter(lambda value, _: show(value))
    axes.grid(axis="x", color=GRID, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_xlabel(panel.x_label + (", a logarithmic scale" if logarithmic else ""))


def draw_lines(axes, panel, styles):
    for name, (colour, mark, dash) in styles.items():
        points = panel.series.get(name)
        if not points:
            continue
        ours = name.startswith(OURS)
        x, y = [point.x for point in points], [point.y for point in points]
        axes.vlines(x, [point.low for point in points], [point.high for point in points], color=colour, linewidth=0.8)
        axes.plot(x, y, color=colour, marker=mark, markersize=5 if ours else 4, linestyle=dash,
                  linewidth=2.2 if ours else 1.1, zorder=3 if ours else 2)
    scale_axes(axes, panel)
    axes.grid(axis="y", color=GRID, linewidth=0.5)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)


def scale_axes(axes, panel):
    show = format_value(panel)
    xs = sorted({point.x for points in panel.series.values() for point in points})
    if panel.x_scale == "log2":
        axes.set_xscale("log", base=2)
        axes.set_xticks(xs, [f"{x:.0f}" for x in xs])
    elif panel.x_scale == "names":
        axes.set_xticks(range(len(panel.ticks)), panel.ticks)
    else:
        axes.set_xscale(panel.x_scale)
        if panel.x_scale == "log" and len(xs) <= TICKS_MAX:
            axes.set_xticks(xs)
        axes.xaxis.set_major_formatter(lambda value, _: human(value))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.set_yscale(panel.y_scale)
    if panel.y_scale == "log":
        ys = [point.y for points in panel.series.values() for point in points]
        few = max(ys) < FEW_DECADES * min(ys)
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if few else (1,)))
    if panel.y_scale == "linear":
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(ticker.MaxNLocator(5))
    axes.yaxis.set_minor_locator(ticker.NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: show(value))


def draw_panel(axes, panel, styles, height):
    if panel.x_scale == "bars":
        draw_bars(axes, panel, styles, height)
    else:
        draw_lines(axes, panel, styles)


def height_of(panel):
    if panel.x_scale != "bars":
        return PANEL_INCHES[1]
    return BAR_MARGIN_INCHES + BAR_INCHES * sum(1 for points in panel.series.values() if points)


def inline_svg(panel, styles, identity):
    """An <svg> element for a page: its ink is the page's, its names are its own, and it refers to nothing outside."""
    figure, axes = pyplot.subplots(figsize=(PANEL_INCHES[0], height_of(panel)))
    draw_panel(axes, panel, styles, height_of(panel))
    figure.tight_layout()
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    pyplot.close(figure)
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg"):], flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    opening = re.search(r"<svg[^>]*>", text)
    view = re.search(r'viewBox="[^"]*"', opening[0])[0]
    text = f'<svg {view} role="img" aria-labelledby="{identity}-title">' + text[opening.end():]
    text = re.sub(r'\bid="([^"]*)"', rf'id="{identity}-\1"', text)
    text = re.sub(r'xlink:href="#([^"]*)"', rf'href="#{identity}-\1"', text)
    text = re.sub(r"url\(#([^)]*)\)", rf"url(#{identity}-\1)", text)
    return text.replace(INK, "currentColor").replace(GRID, "var(--grid)")


def legend_svg(style):
    """A line with its mark, for a legend in HTML."""
    colour, mark, dash = style
    colour = "currentColor" if colour == INK else colour
    marker = markers.MarkerStyle(mark)
    path = marker.get_path().transformed(marker.get_transform())
    shapes = "".join("M" + "L".join(f"{14 + 8 * x:.2f} {7 - 8 * y:.2f}" for x, y in polygon)
                     for polygon in path.to_polygons(closed_only=False))
    dashes = {"-": "", "--": ' stroke-dasharray="6 3"', ":": ' stroke-dasharray="1.5 3"'}[dash]
    fill = colour if marker.is_filled() else "none"
    return (f'<svg viewBox="0 0 28 14" width="28" height="14" aria-hidden="true"><path d="M0 7H28" stroke="{colour}" '
            f'stroke-width="1.5"{dashes}/><path d="{shapes}" fill="{fill}" stroke="{colour}"/></svg>')


def picture(section, machine):
    """All panels of a section, with a legend: a figure to be saved."""
    styles = styles_of(names_of(section.panels))
    rows = -(-len(section.panels) // COLUMNS)
    columns = min(COLUMNS, len(section.panels))
    heights = [max(height_of(panel) for panel in section.panels[i * columns:(i + 1) * columns]) for i in range(rows)]
    figure = pyplot.figure(figsize=(PANEL_INCHES[0] * columns, sum(heights) + 0.3 * rows + 1), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, height_ratios=heights)
    for place, (axes, panel) in enumerate(itertools.zip_longest(grid.flat, section.panels)):
        if panel is None:
            axes.set_axis_off()
            continue
        draw_panel(axes, panel, styles, heights[place // columns])
        axes.set_title("\n".join(textwrap.wrap(panel.title, TITLE_CHARACTERS)), loc="left", fontweight="bold",
                       fontsize=8)
    if any(panel.x_scale != "bars" for panel in section.panels):
        handles = [pyplot.Line2D([], [], color=colour, marker=mark, linestyle=dash, markersize=5, label=name)
                   for name, (colour, mark, dash) in styles.items()]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 3 * columns), frameon=False)
    figure.suptitle(f"{section.title}. {machine}", fontsize=8)
    return figure


def save(figure, path):
    """As SVG or PNG, by the ending of the name."""
    metadata = {"Date": None} if str(path).endswith(".svg") else {"Software": None}
    figure.savefig(path, dpi=130, metadata=metadata)
