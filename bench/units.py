"""Numbers for people: three digits and a unit."""

SIZES = ((1e9, " G"), (1e6, " M"), (1e3, " k"))
TIMES = ((1e9, " s"), (1e6, " ms"), (1e3, " µs"), (1, " ns"))


def human(value):
    for size, unit in SIZES:
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def human_time(ns):
    for size, unit in TIMES:
        if ns >= size:
            return f"{ns / size:.3g}{unit}"
    return f"{ns:.2g} ns"


def exact(value):
    """All digits before the point that a reader may want, few behind it."""
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"
