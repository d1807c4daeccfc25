"""The plots of docs/benchmarks.md: SVG, the same bytes for the same figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")

import matplotlib.pyplot as plt  # noqa: E402
import matplotlib.ticker  # noqa: E402
from figures import Figures, Spread  # noqa: E402

COLORS = {"ours": "#1f5fbf", "noop": "#8fb8ea", "jwt": "#e08a1e", "callout": "#b5453c", "plain": "#9a9a9a"}
STYLE = {
    "svg.fonttype": "none",  # text stays text: small files, and the reader's own font
    "svg.hashsalt": "session-bearer",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "figure.facecolor": "white",
    "legend.frameon": False,
}


def draw(figures: Figures, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        _save(overhead(figures), folder / "overhead.svg")
        _save(throughput(figures), folder / "throughput.svg")
        _save(latency(figures), folder / "latency.svg")
        _save(sessions(figures), folder / "sessions.svg")
        _save(requests(figures), folder / "requests.svg")
        _save(churn(figures), folder / "churn.svg")


def _save(figure, path: Path) -> None:
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight")
    plt.close(figure)


def overhead(figures: Figures):
    names = [name for name in figures["contenders"] if not name.startswith("plain")]
    return _bars(figures, names, figures.overhead, "CPU microseconds per request above plain Envoy; less is better", "{:.1f}")


def throughput(figures: Figures):
    def thousands(name: str) -> Spread:
        rate = figures.rate(name)
        return Spread(rate.middle / 1e3, rate.least / 1e3, rate.most / 1e3)

    return _bars(figures, list(figures["contenders"]), thousands, "thousand requests per second, Envoy on one core; more is better", "{:.1f}")


def _bars(figures: Figures, names: list[str], value: Callable[[str], Spread], label: str, form: str):
    """Horizontal bars with the median, and a thin line from the least to the most."""
    figure, axes = plt.subplots(figsize=(8.5, 0.36 * len(names) + 0.9))
    spreads = [value(name) for name in names]
    errors = [[each.middle - each.least for each in spreads], [each.most - each.middle for each in spreads]]
    style = {"ecolor": "#333333", "elinewidth": 0.8, "capsize": 2}
    colors = [_color(figures, name) for name in names]
    axes.barh(range(len(names)), [each.middle for each in spreads], xerr=errors, color=colors, error_kw=style)
    for row, each in enumerate(spreads):
        axes.annotate(form.format(each.middle), (each.most, row), xytext=(5, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(names)), [figures.title(name) for name in names])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, 1.1 * max(each.most for each in spreads))
    axes.set_xlabel(label)
    return figure


def latency(figures: Figures):
    """Two marks for each contender: half of the requests are faster than the first, all but one in a hundred than the second."""
    names = list(figures["contenders"])
    figure, axes = plt.subplots(figsize=(8.5, 0.3 * len(names) + 0.9))
    for row, name in enumerate(names):
        p50, p99 = (figures.latency(figures["paced"][name], kind) for kind in ("p50", "p99"))
        color = _color(figures, name)
        axes.plot([p50, p99], [row, row], color=color, linewidth=1.5)
        axes.plot([p50], [row], "o", color=color)
        axes.plot([p99], [row], "|", color=color, markersize=10, markeredgewidth=2)
    axes.set_yticks(range(len(names)), [figures.title(name) for name in names])
    axes.invert_yaxis()
    _logarithmic(axes, (100, 200, 500, 1_000, 2_000, 5_000, 10_000))
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("microseconds at about 3,000 requests a second: dot p50, bar p99")
    return figure


def sessions(figures: Figures):
    counts = [count for count in figures["sessions"] if count != "plain"]
    figure, axes = plt.subplots(figsize=(6, 3))
    _line(axes, [int(count) for count in counts], [figures.hits_among(count) for count in counts], COLORS["ours"], "session-bearer")
    _logarithmic(axes, [int(count) for count in counts])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("sessions remembered, each as likely as the others")
    axes.set_ylabel("CPU µs above plain Envoy")
    return figure


def requests(figures: Figures):
    """By the number of fields, the number of cookies and the size of one field."""
    figure, panels = plt.subplots(1, 3, figsize=(10, 3), sharey=True)
    labels = {"fields": "header fields", "cookies": "cookies", "sizes": "bytes in one field"}
    for axes, (part, label) in zip(panels, labels.items(), strict=True):
        points = figures[part]
        for name in ("plain", "noop-listed", "hit"):
            costs = [Spread.of(rows[name]["cost"]) for rows in points.values()]
            _line(axes, [int(point) for point in points], costs, _color(figures, name), figures.title(name))
        if part != "fields":
            _logarithmic(axes, [int(point) for point in points])
        axes.set_xlabel(label)
    panels[0].set_ylim(bottom=0)  # the panels share their height, so all have to be drawn before
    panels[0].set_ylabel("CPU µs per request, in all")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="upper center", ncols=3, bbox_to_anchor=(0.5, 1.06))
    return figure


def _color(figures: Figures, name: str) -> str:
    return COLORS[figures.family(name)]


def _logarithmic(axes, ticks) -> None:
    axes.set_xscale("log")
    least, most = axes.get_xlim()
    axes.set_xticks([tick for tick in ticks if least <= tick <= most])
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())


def _line(axes, at: list[int], spreads: list[Spread], color: str, label: str) -> None:
    axes.fill_between(at, [each.least for each in spreads], [each.most for each in spreads], color=color, alpha=0.2, linewidth=0)
    axes.plot(at, [each.middle for each in spreads], "o-", color=color, label=label, markersize=4)


def churn(figures: Figures):
    course = figures["churn"]
    figure, axes = plt.subplots(figsize=(6, 2.6))
    axes.plot(course["seconds"], [size / 1e6 for size in course["resident"]], color=COLORS["ours"])
    axes.set_ylim(0, 1.15 * max(course["resident"]) / 1e6)
    axes.set_xlabel(f"seconds, in which {course['sessions']:,} sessions came once each")
    axes.set_ylabel("resident memory, MB")
    return figure
