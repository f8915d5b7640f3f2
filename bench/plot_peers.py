"""Draws what bench/python_peers.py measured: docs/peers.svg and .png, and the tables of docs/peers.md.

    build/peers/plots/bin/python bench/plot_peers.py FILE.json [--docs FOLDER] [--no-plot]

The same JSON gives the same files, byte for byte, with the same matplotlib.
"""

import argparse
import json
import math
import pathlib
import statistics
import sys

from peer_stores import STORES, Ours
from python_peers import BYTES, SECONDS, TRACED_WRITES

DOCS = pathlib.Path(__file__).parents[1] / "docs"
NAMES = list(STORES)
OURS = Ours.NAME

# Section, workload, title of its panel; rows of three.
PANELS = [
    ("lazy", "get", "get, from memory"),
    ("lazy", "get_many", "many keys at once"),
    ("lazy", "miss", "get of a key that is not there"),
    ("lazy", "contains", "in"),
    ("lazy", "items", "iterate the items"),
    ("lazy", "delete", "delete, not synced"),
    ("lazy", "load", "bulk load, not synced"),
    ("lazy", "set", "set, not synced"),
    ("lazy", "set_closed", "set, to the end of close"),
    ("process", "set", "set, survives kill -9"),
    ("durable", "set", "set, each synced"),
    ("durable", "batch", "batches, each synced"),
]
ROWS = [
    ("lazy", "get", "`get` of a key in memory"),
    ("lazy", "get_many", "`get_many` of {many:,}"),
    ("lazy", "miss", "`get` of an absent key"),
    ("lazy", "contains", "`in`"),
    ("lazy", "keys", "iterate keys"),
    ("lazy", "items", "iterate items"),
    ("lazy", "load", "bulk load, not synced"),
    ("lazy", "load_closed", "bulk load, to the end of close"),
    ("lazy", "set", "set, not synced"),
    ("lazy", "set_closed", "set, to the end of close"),
    ("lazy", "delete", "delete, not synced"),
    ("process", "set", "set, survives `kill -9`"),
    ("durable", "set", "set, each synced"),
    ("durable", "batch", "batches of {many:,}, each synced"),
    ("lazy", "open", "open"),
    ("lazy", "size", "files after close"),
    ("memory", "load", "memory only: bulk load"),
    ("memory", "set", "memory only: set"),
    ("memory", "get", "memory only: `get`"),
    ("memory", "get_many", "memory only: `get_many`"),
    ("memory", "contains", "memory only: `in`"),
    ("memory", "delete", "memory only: delete"),
]
# Of the palette of Okabe and Ito, which the colour-blind can tell apart.
COLOURS = {OURS: "#D55E00", "dict": "#BBBBBB"}
PEER_COLOUR = "#56B4E9"
ROOM_FOR_FIGURES = 0.38


def values_of(report, section, workload, name):
    """All measurements of a store; ours has some beside each peer."""
    results = report["results"].get(section, {}).get(workload, {})
    if name == OURS:
        return [value for result in results.values() for value in result["ours"]["values"]]
    return results[name]["peer"]["values"] if name in results else []


def human(value, workload):
    """Three digits and a unit: rates, times or sizes."""
    if workload in SECONDS:
        return f"{value:.1f} s" if value >= 1 else f"{value * 1e3:#.2g}".rstrip(".") + " ms"
    if workload in BYTES:
        return f"{value / 1e6:.1f} MB"
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f}"


def draw_panel(axes, report, section, workload, title):
    for place, name in enumerate(NAMES):
        values = values_of(report, section, workload, name)
        if not values:
            axes.text(0.02, place, "–", transform=axes.get_yaxis_transform(), va="center", color="#888888")
            continue
        middle = statistics.median(values)
        axes.barh(place, middle, color=COLOURS.get(name, PEER_COLOUR), height=0.74)
        axes.plot([min(values), max(values)], [place, place], color="black", linewidth=0.8)
        axes.text(max(values), place, " " + human(middle, workload), va="center", fontsize=8,
                  fontweight="bold" if name == OURS else "normal")
    axes.set_xscale("log")
    shown = [value for name in NAMES for value in values_of(report, section, workload, name)]
    if shown:
        low, high = min(shown) / 4, max(shown)
        axes.set_xlim(low, high * (high / low) ** ROOM_FOR_FIGURES)
        decades = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
        axes.set_xticks([10.0 ** decade for decade in decades])
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_yticks(range(len(NAMES)), NAMES, fontsize=9)
    for label, name in zip(axes.get_yticklabels(), NAMES):
        label.set_fontweight("bold" if name == OURS else "normal")
    axes.tick_params(axis="x", labelsize=7.5, length=2)
    axes.tick_params(axis="y", length=0)
    axes.minorticks_off()
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def draw(report, folder):
    """peers.svg and peers.png."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    matplotlib.rcParams.update({"svg.hashsalt": "peers", "font.family": "DejaVu Sans"})

    figure, grid = pyplot.subplots(4, 3, figsize=(10, 11.4), sharey=True)
    for axes, (section, workload, title) in zip(grid.flat, PANELS):
        draw_panel(axes, report, section, workload, title)
    grid[0][0].invert_yaxis()
    parameters = report["parameters"]
    figure.suptitle("Operations a second: longer is better; scales are logarithmic, one for each panel",
                    fontsize=11.5, x=0.01, ha="left")
    figure.text(0.01, 0.008, f"{parameters['keys']:,} str keys, {parameters['value_bytes']}-byte values; medians, lines "
                f"from least to most; “–”: not offered, or not there. {report['machine'].partition(', load')[0]}.",
                fontsize=8, color="#444444")
    figure.tight_layout(rect=(0, 0.02, 1, 0.985), w_pad=1.5, h_pad=1.4)
    figure.savefig(folder / "peers.svg", metadata={"Date": None})
    figure.savefig(folder / "peers.png", dpi=110, metadata={"Software": None})


def times(ratio):
    """A ratio in two digits, or as many as it has before the point."""
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"


def table(head, rows):
    """Lines of a table in Markdown."""
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]


def medians(report):
    rows = []
    for section, workload, title in ROWS:
        cells = []
        for name in NAMES:
            values = values_of(report, section, workload, name)
            cells.append(human(statistics.median(values), workload) if values else "–")
        rows.append([title.format(**report["parameters"]), *cells])
    return table(["", *(f"**{name}**" if name == OURS else name for name in NAMES)], rows)


def ratios(report):
    rows = []
    for section, workload, title in ROWS:
        cells = []
        for name in NAMES[1:]:
            found = report["results"].get(section, {}).get(workload, {}).get(name, {}).get("ratio")
            cells.append("{} ({}–{})".format(*(times(found[which]) for which in ("median", "least", "most")))
                         if found else "–")
        rows.append([title.format(**report["parameters"]), *cells])
    return table(["", *NAMES[1:]], rows)


def settings(report):
    rows = []
    for name, levels in report["settings"].items():
        version = report["ours"] if name == OURS else report["versions"].get(name, "not measured")
        rows += [[f"{name} ({version})", level, words] for level, words in levels.items()]
    return table(["store", "level", "settings"], rows)


def syncs(report):
    if isinstance(report["syncs"], str):
        return [report["syncs"]]
    levels = list(report["syncs"])
    rows = [[name, *(str(report["syncs"][level].get(name, "–")) for level in levels)]
            for name in NAMES if any(name in report["syncs"][level] for level in levels)]
    return table(["store", *levels], rows)


def document(report):
    """The text of docs/peers.md."""
    parameters = report["parameters"]
    lines = [
        "# Beside the peers in Python", "",
        "Written by `bench/run_peers`, which measures (`bench/python_peers.py`) and draws (`bench/plot_peers.py`);",
        "do not edit. Every store is measured in turns with ours, on the same records in the same order, and has to",
        "return the same records.", "",
        f"- {report['machine']}; {report['system']}",
        "- " + ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in parameters.items())
        + " (`limit`: seconds after which a slow loop is cut off)",
        f"- hashes of what all returned: {', '.join(sorted(set(report['work'].values())))}",
        *(f"- not measured: {name}: {why}" for kind in ("missing", "failed") for name, why in report[kind].items()),
        "", "![Bars for each store and workload](peers.svg)", "",
        "## Medians", "", "Operations a second, unless a unit is given. “–”: the store does not offer it.", "",
        *medians(report), "",
        "## Ours beside each", "",
        f"Speed of ours by that of the peer, medians of {parameters['repetitions']} pairs (least–most); above 1, ours is",
        "faster (open: sooner; files: smaller).", "", *ratios(report), "",
        "## What the levels mean", "",
        "`durable`: on disk when the call returns; `process`: survives `kill -9`; `lazy`: neither, until a commit, a flush",
        "or a close; `memory`: no file. Our predecessor, sqlitedict by its own settings, and shelve never sync a write.", "",
        *settings(report), "",
        "## Syncs", "", f"Calls of fsync, fdatasync and msync during {TRACED_WRITES} single writes, counted by strace.", "",
        *syncs(report), "",
    ]
    return "\n".join(lines)


def main():
    """Writes the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("json")
    parser.add_argument("--docs", type=pathlib.Path, default=DOCS)
    parser.add_argument("--no-plot", action="store_true", help="the tables only, without matplotlib")
    options = parser.parse_args()
    report = json.loads(pathlib.Path(options.json).read_text(encoding="utf-8"))
    (options.docs / "peers.md").write_text(document(report), encoding="utf-8")
    if not options.no_plot:
        draw(report, options.docs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
