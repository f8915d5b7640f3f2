"""Draws what bench/map measured with --json: throughput over threads, a panel a workload.

    build/peers/peers/bin/python bench/plot_map.py FILE.json OUT.svg [OUT.png ...]

The same JSON gives the same files, byte for byte, with the same matplotlib.
"""

import argparse
import json

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams.update({
    "svg.hashsalt": "dictsqlite", "font.size": 8, "axes.spines.top": False, "axes.spines.right": False})
from matplotlib import pyplot  # noqa: E402 (the backend is chosen first)

OURS = "dictsqlite"
COLUMNS = 3
# Okabe and Ito's colours, which the colour-blind can tell apart, and marks for those that share one.
STYLES = {
    OURS: ("#D55E00", "o"), "papaya": ("#0072B2", "s"), "dashmap": ("#56B4E9", "^"), "scc": ("#009E73", "v"),
    "tbb": ("#CC79A7", "D"), "libcuckoo": ("#E69F00", "P"), "rculfhash": ("#000000", "x"),
    "mutex+std": ("#999999", "."), "mutex+absl": ("#999999", "+"), "libcds": ("#F0E442", "*"),
}


def series_of(report):
    """workload -> map -> [(threads, millions a second)], in the order of the file."""
    series = {}
    for figure in report["figures"]:
        if figure["map"] in STYLES:
            points = series.setdefault(figure["workload"], {}).setdefault(figure["map"], [])
            points.append((figure["threads"], figure["per_second"] / 1e6))
    return {workload: maps for workload, maps in series.items()
            if max(len(points) for points in maps.values()) > 1}


def draw_panel(axes, title, maps):
    for name, points in maps.items():
        colour, mark = STYLES[name]
        ours = name == OURS
        axes.plot(*zip(*points), color=colour, marker=mark, markersize=5 if ours else 3.5, label=name,
                  linewidth=2.2 if ours else 1, zorder=3 if ours else 2)
    threads = sorted({point[0] for points in maps.values() for point in points})
    axes.set_xscale("log", base=2)
    axes.set_xticks(threads, [str(count) for count in threads])
    axes.set_ylim(bottom=0)
    axes.set_title(title, loc="left", fontweight="bold")
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.5)


def draw(report):
    series = series_of(report)
    rows = -(-len(series) // COLUMNS)
    figure, grid = pyplot.subplots(rows, COLUMNS, figsize=(9, 2.4 * rows + 0.9), squeeze=False)
    panels = [axes for row in grid for axes in row]
    for axes, (title, maps) in zip(panels, series.items()):
        draw_panel(axes, title, maps)
    for axes in panels[len(series):]:
        axes.set_axis_off()
    for row in grid:
        row[0].set_ylabel("million a second")
    for axes in panels[max(len(series) - COLUMNS, 0):len(series)]:
        axes.set_xlabel("threads")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="lower center", ncols=len(STYLES), frameon=False)
    parameters = report["parameters"]
    figure.suptitle(
        f"{parameters['keys']:,} keys of {parameters['key_bytes']} bytes, values of {parameters['value_bytes']}; "
        f"medians of {parameters['rounds']}; {report['machine'].rsplit(', load', 1)[0]}", fontsize=8)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report")
    parser.add_argument("outputs", nargs="+", metavar="OUT")
    args = parser.parse_args()
    with open(args.report, encoding="utf-8") as file:
        figure = draw(json.load(file))
    for output in args.outputs:
        metadata = {"Date": None} if output.endswith(".svg") else {}
        figure.savefig(output, dpi=150, metadata=metadata)


if __name__ == "__main__":
    main()
