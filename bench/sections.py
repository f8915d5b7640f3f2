"""What bench/report.py shows: sections of panels, each a few series over one quantity, made from labels alone."""

import dataclasses

from results import LATENCIES, OURS, is_number, size_of

# Parameters that make a run longer, or that figures repeat as a label.
EFFORT = ("seed", "rounds", "pairs", "operations", "milliseconds", "seconds", "threads", "durability")
UNITS = {"keys": "keys", "value_bytes": "bytes"}
# They show what cannot be beaten: no peers.
LIMITS = ("no threads", "best possible")
TABLES, SIZES = ("map",), ("map", "sizes")


@dataclasses.dataclass
class Point:
    x: float
    y: float
    low: float
    high: float


@dataclasses.dataclass
class Panel:
    """Series of points by name.  Scales: "log", "log2", "linear", "names" (x are indices of `ticks`) or "bars" (no x)."""

    title: str
    x_label: str
    y_label: str
    series: dict
    x_scale: str = "linear"
    y_scale: str = "linear"
    ticks: tuple = ()
    higher_is_better: bool = True


@dataclasses.dataclass
class Section:
    """A heading, what it says to somebody who has never seen it, its panels, and the runs that they come from."""

    key: str
    title: str
    text: str
    panels: list
    results: list


def rate_point(figure, x):
    rate = figure.numbers["per_second"]
    return Point(x, rate, figure.numbers.get("lower_quartile", rate), figure.numbers.get("upper_quartile", rate))


def title_of(figure, without=(), extra=()):
    """The workload, then what else tells a figure from its neighbours."""
    parts = [figure.labels.get("workload", "")]
    parts += [f"beside {text}" if key == "beside" else text for key, text in figure.labels.items()
              if key not in ("workload", *without)]
    return ", ".join([part for part in (*parts, *extra) if part])


def common_labels(results):
    """Labels that are the same in all the figures of a section, which a title need not repeat."""
    values = {}
    for result in results:
        for figure in result.figures:
            for key, text in figure.labels.items():
                values.setdefault(key, set()).add(text)
    return [key for key, texts in values.items() if len(texts) == 1 and key not in ("workload", "durability")]


def told_apart(result, results):
    """The parameters by which a run differs from its neighbours, for titles; not those of how long it took."""
    parts = []
    for name, value in result.parameters.items():
        others = {other.parameters.get(name) for other in results}
        if len(others) > 1 and name not in EFFORT:
            number = f"{value:,}" if is_number(value) else str(value)
            parts.append(f"{number} {UNITS[name]}" if name in UNITS else f"{name.replace('_', ' ')} {number}")
    return parts


def group(pairs):
    """Pairs of a title and (name, point) as title -> name -> points in the order of x; the first of each x counts."""
    panels = {}
    for title, (name, point) in pairs:
        panels.setdefault(title, {}).setdefault(name, {}).setdefault(point.x, point)
    return {title: {name: [points[x] for x in sorted(points)] for name, points in series.items()}
            for title, series in panels.items()}


def distinct_x(series):
    return sorted({point.x for points in series.values() for point in points})


def bars(series, label):
    """Each one's only point, named with how many threads it was, if more than one."""
    return {name if points[0].x == 1 else f"{name}, {points[0].x} {label}": points for name, points in series.items()}


def over_threads(results, label="threads"):
    """A panel a workload; bars where each was measured with one number of threads."""
    panels = []
    common = common_labels(results)
    for result in sorted(results, key=lambda result: [result.parameters.get(name, 0) for name in UNITS]):
        extra = told_apart(result, results)
        found = group((title_of(figure, common, extra), (figure.name, rate_point(figure, figure.threads)))
                      for figure in result.figures if "per_second" in figure.numbers)
        for title, series in found.items():
            if any(len(points) > 1 for points in series.values()):
                panels.append(Panel(title, label, "operations a second", series, "log2"))
            else:
                panels.append(Panel(title, "operations a second", "", bars(series, label), "bars"))
    return panels


def over_size(results, name, other):
    """A panel a workload, number of threads, and size of the other kind that was measured at several sizes."""
    figures = [(result, figure) for result in results for figure in result.figures if "per_second" in figure.numbers]
    # bench/sizes measures its workloads on more sizes than bench/map does: no line mixes the two.
    own = {figure.labels.get("workload") for result, figure in figures if result.benchmark == "sizes"}
    figures = [(result, figure) for result, figure in figures if result.benchmark == "sizes" or figure.threads > 1
               or figure.labels.get("workload") not in own]
    most = max((figure.threads for _, figure in figures), default=1)
    varies = len({size_of(result, figure, "key_bytes") for result, figure in figures}) > 1
    pairs = []
    for result, figure in figures:
        size, fixed, key_bytes = (size_of(result, figure, each) for each in (name, other, "key_bytes"))
        if size is not None and figure.threads in (1, most):
            extra = [f"{figure.threads} thread{'s' if figure.threads > 1 else ''}",
                     f"{fixed:,.0f} {'keys' if other == 'keys' else 'bytes'}" if fixed is not None else "",
                     f"keys of {key_bytes:.0f} bytes" if varies and key_bytes is not None else ""]
            pairs.append((title_of(figure, extra=extra), (figure.name, rate_point(figure, size))))
    label = "keys in the table" if name == "keys" else "bytes of a value"
    return [Panel(title, label, "operations a second", series, "log") for title, series in group(pairs).items()
            if len(distinct_x(series)) > 1]


def latency_panel(title, figures):
    most = max(figure.threads for figure in figures)
    series = {figure.name: [Point(LATENCIES.index(name), ns, ns, ns) for name, ns in figure.latency_ns.items()
                            if name in LATENCIES and ns > 0]
              for figure in figures if figure.threads == most}
    title = f"{title}, {most} thread{'s' if most > 1 else ''}"
    return Panel(title, "so many of the operations took no longer", "latency", series, "names", "log", LATENCIES,
                 higher_is_better=False)


def latencies(results):
    """A panel a workload at its highest number of threads: the percentiles of each who was measured."""
    panels = []
    common = common_labels(results)
    for result in results:
        extra = told_apart(result, [other for other in results if other.benchmark == result.benchmark])
        by_title = {}
        for figure in result.figures:
            if figure.latency_ns:
                by_title.setdefault(title_of(figure, common, extra), []).append(figure)
        panels += [latency_panel(title, figures) for title, figures in by_title.items()]
    return panels


def growing(results):
    """The worst put in each part of the growth."""
    panels = []
    for result in results:
        figures = [figure for figure in result.figures if "worst_ns_by_records" in figure.curves]
        series = {figure.name: [Point(x, y, y, y) for x, y in figure.curves["worst_ns_by_records"] if y > 0]
                  for figure in figures}
        threads = max((figure.threads for figure in figures), default=0)
        if series:
            title = f"worst put in each fiftieth of the growth, {threads} thread{'s' if threads > 1 else ''}"
            panels.append(Panel(title, "records in the table", "latency", series, "linear", "log",
                                higher_is_better=False))
    return panels


def misses(results):
    pairs = [(figure.labels["workload"], (figure.name, Point(*[figure.numbers["size"]],
                                                             *[100 * figure.numbers["miss_ratio"]] * 3)))
             for result in results for figure in result.figures if "miss_ratio" in figure.numbers]
    return [Panel(title, "records in the cache", "misses, %", series, "log", higher_is_better=False)
            for title, series in group(pairs).items()]


def memory(results):
    """Bars: what a record takes, keys and values included."""
    found = {}
    for result in results:
        title = ", ".join(f"{result.parameters[name]:,} {what}" for name, what in
                          (("keys", "records"), ("value_bytes", "bytes of a value")) if name in result.parameters)
        for figure in result.figures:
            if figure.numbers.get("bytes_per_record"):
                bytes_each = figure.numbers["bytes_per_record"]
                found.setdefault(f"{result.benchmark}: {title}", {})[figure.name] = [Point(1, *[bytes_each] * 3)]
    return [Panel(title, "bytes a record", "", series, "bars", higher_is_better=False)
            for title, series in found.items()]


# Key, benchmarks, title, text, how its panels are made.
PLAN = [
    ("threads", TABLES, "The table in memory, by more and more threads",
     "Operations a second of all threads together. A line that rises says that another thread helps; one that is flat "
     "or falls, that threads stand in each other's way. 95/5 and 50/50: so many look-ups and writes in a hundred. "
     "ReadHeavy, Exchange and RapidGrow: mixes of look-ups, inserts, removals and updates, 98, 10 and 5 % of them "
     "look-ups. Zipf: a few keys are asked for much more often than the rest. “no threads” is a table without any "
     "synchronization, which a single thread may use: the limit.", over_threads),
    ("table-size", SIZES, "The table in memory, small and large",
     "The same work on tables of more and more keys. Small ones fit the caches of the processor.",
     lambda results: over_size(results, "keys", "value_bytes")),
    ("value-size", SIZES, "The table in memory, short values and long ones",
     "The same work with longer and longer values, which have to be copied.",
     lambda results: over_size(results, "value_bytes", "keys")),
    ("growth", ("growth",), "A put while the table grows",
     "A table that begins small and is filled. Growing has to be paid by somebody: how long did the unluckiest put "
     "wait?", growing),
    ("latency", ("growth", "queue", "retire", "durable"), "How long the slowest operations take",
     "From half of the operations (p50) to all but one in ten thousand (p99.99), and the worst of all.", latencies),
    ("memory", ("map", "sizes", "growth", "cache"), "Memory",
     "Bytes that a record occupies, its key and its value included.", memory),
    ("many-keys", ("multi_get",), "Many keys at once", "Look-ups of records in memory: one call for many keys, or a "
     "call for each.", over_threads),
    ("queue", ("queue",), "The queue of writes", "Every write passes through one queue. Pushes a second by more and "
     "more producers, many more than there are cores at last.", lambda results: over_threads(results, "producers")),
    ("retired", ("retire",), "Overwriting beside a reader that stays", "Memory that a reader might still look at cannot "
     "be freed; writers wait once it reaches a bound.", over_threads),
    ("miss-ratio", ("miss_ratio",), "What a full cache forgets",
     "Requests that miss, by the number of records that the cache holds. “best possible” knows the future. Nothing "
     "here is timed: the figures are exact.", misses),
    ("caches", ("cache",), "Bounded caches", "Look up, and insert what is missing, with so many keys that the cache "
     "hits about as often as the title says.", over_threads),
    ("stores", ("stores",), "Whole stores under the mixes of YCSB",
     "A: half of the operations update; B: 5 % do; C: reads alone; D: reads of what is new; E: scans; F: read, change, "
     "write back.", over_threads),
    ("stores-latency", ("stores",), "Whole stores: how long the slowest operations take",
     "From half of the operations (p50) to the worst.", latencies),
    ("durable", ("durable",), "On disk when the call returns", "Writes that survive a loss of power, beside SQLite by "
     "itself with the same settings and beside the bare disk.", over_threads),
    ("encryption", ("encryption",), "What a password costs", "The same work on an encrypted store and on a plain one.",
     over_threads),
    ("python", ("python_speed",), "Python, beside a dict", "A dict keeps nothing on disk and knows one thread at a time: "
     "it is the limit of what Python can do.", over_threads),
    ("values", ("values",), "Python: kinds of values", "The same value stored as bytes, as JSON, as a pickle.",
     over_threads),
    ("async", ("async_set",), "Python: an event loop", "Durable writes that an event loop awaits together or one by one, "
     "beside what the disk takes by itself.", over_threads),
    ("gil", ("gil_readers",), "Python: readers beside a slow commit", "Reads of two threads while a third one sleeps, "
     "commits to a slow disk, or sleeps as long as a commit takes.", over_threads),
]

BENCHMARKS = sorted({name for _, names, *_ in PLAN for name in names})


def sections_of(results):
    """The sections for which there are panels."""
    sections = []
    for key, names, title, text, make in PLAN:
        used = [result for result in results if result.benchmark in names]
        panels = [panel for panel in make(used) if any(panel.series.values())]
        if panels:
            sections.append(Section(key, title, text, panels, used))
    return sections


def best_other(panel):
    """Ours and the best of the others where all of them were measured last, or None."""
    last = {name: points[-1] for name, points in panel.series.items() if points}
    ours = [(name, point) for name, point in last.items() if name.startswith(OURS)]
    if not ours or len(last) == len(ours):
        return None
    pick = max if panel.higher_is_better else min
    own = pick(ours, key=lambda pair: pair[1].y)
    others = [pair for pair in last.items() if not pair[0].startswith((OURS, *LIMITS)) and
              (panel.x_scale == "bars" or pair[1].x == own[1].x)]
    return (own, pick(others, key=lambda pair: pair[1].y)) if others else None
