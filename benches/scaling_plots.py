"""Runs the simulation of benches/scaling.rs, draws its plots and writes docs/scaling.md.

    python benches/scaling_plots.py [--rows FILE]

With `--rows` the simulation is not run: the file holds what it printed before.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import scaling_document
import scaling_formula as formula

try:
    import matplotlib
except ModuleNotFoundError:
    sys.exit("error: matplotlib is missing: install it with python -m pip install -r benches/requirements.txt")

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
ROWS = ROOT / "target" / "scaling.jsonl"
PLOTS = ROOT / "docs" / "scaling"
BLUE, ORANGE, GREEN, RED, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#777777"
STYLE = {
    "svg.hashsalt": "session-bearer",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "path.simplify_threshold": 0.5,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="simulate, draw, and write docs/scaling.md")
    parser.add_argument("--rows", type=Path, help="what the simulation printed before")
    parser.add_argument("--png", type=Path, help="a folder for PNG files of the plots as well")
    arguments = parser.parse_args()
    rows = read(arguments.rows or simulate())
    plt.rcParams.update(STYLE)
    PLOTS.mkdir(parents=True, exist_ok=True)
    drawings = {
        "session": session(rows["worker"]),
        "mesh": mesh(rows["mesh"]),
        "reach": reach(rows),
        "logout": logout(rows["logout"]),
        "cold": cold(rows["cold"]),
        "outage": outage(rows["outage"]),
    }
    for name, figure in drawings.items():
        figure.savefig(PLOTS / f"{name}.svg", metadata={"Date": None}, bbox_inches="tight")
        if arguments.png:
            figure.savefig(arguments.png / f"{name}.png", dpi=80, bbox_inches="tight")
    (ROOT / "docs" / "scaling.md").write_text(scaling_document.write(rows), encoding="utf-8")
    print(f"scaling: docs/scaling.md and {len(drawings)} plots are written", flush=True)
    return 0


def simulate() -> Path:
    if not shutil.which("cargo"):
        sys.exit("error: cargo is missing: install Rust, for instance with rustup")
    print("scaling: simulating, 4 to 5 minutes and 3 GB of memory", flush=True)
    ROWS.parent.mkdir(exist_ok=True)
    command = ["cargo", "bench", "--locked", "--quiet", "--bench", "scaling"]
    partial = ROWS.with_suffix(".partial")
    with partial.open("wb") as out:
        code = subprocess.run(command, cwd=ROOT, stdout=out, check=False).returncode
    if code:
        sys.exit(f"error: the simulation failed with status {code}: {' '.join(command)}")
    return partial.rename(ROWS)


def read(path: Path) -> dict[str, list[dict]]:
    rows: dict[str, list[dict]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        rows.setdefault(row["part"], []).append(row)
    if missing := set(scaling_document.PARTS) - set(rows):
        sys.exit(f"error: {path} has no rows of {', '.join(sorted(missing))}: run the whole simulation")
    return rows


def axes(height: float = 3.6):
    figure, plot = plt.subplots(figsize=(7.2, height))
    return figure, plot


def spaced(low: float, high: float, count: int = 60) -> list[float]:
    return [low * (high / low) ** (nth / (count - 1)) for nth in range(count)]


def plain(axis, ticks: list[float]) -> None:
    axis.set_ticks(ticks, [f"{tick:,g}" for tick in ticks])
    axis.set_minor_locator(matplotlib.ticker.NullLocator())


def session(rows: list[dict]):
    figure, plot = axes()
    for max_ttl, colour in ((10, GREEN), (60, BLUE), (300, ORANGE)):
        rates = spaced(0.006, 15)
        expected = [60 * formula.worker(rate, max_ttl) for rate in rates]
        plot.plot([60 * rate for rate in rates], expected, color=colour, label=f"max_ttl {max_ttl} s")
        seen = [row for row in rows if row["max_ttl"] == max_ttl]
        points = [60 * row["callouts"] / row["groups"][0][0] for row in seen]
        plot.plot([60 * row["groups"][0][1] for row in seen], points, "o", color=colour, markersize=5)
    plot.plot([0.36, 8], [0.36, 8], ":", color=GREY, label="one for each request")
    plot.set(xscale="log", yscale="log", xlabel="requests of a session per minute", ylabel="callouts per minute")
    plain(plot.xaxis, [1, 10, 100, 600])
    plain(plot.yaxis, [0.2, 0.5, 1, 2, 5, 10])
    plot.legend(loc="center right", bbox_to_anchor=(1, 0.68))
    plot.set_title("One session at one worker: formula (lines) and simulation (points)", fontsize=10)
    return figure


def mesh(rows: list[dict]):
    figure, plot = axes(4.2)
    curves = [
        (1, True, True, BLUE, "-", "one worker (a connection that stays)"),
        (20, True, False, GREEN, "-", "20 processes, shared level"),
        (20, False, False, GREEN, "--", "20 processes, no shared level"),
        (1000, True, False, RED, "-", "1,000 processes, shared level"),
        (1000, False, False, RED, "--", "1,000 processes, no shared level"),
    ]
    for processes, shared, pinned, colour, line, label in curves:
        seen = [r for r in rows if (r["reach"], r["shared_slots"] > 0, r["pinned"]) == (processes, shared, pinned)]
        workers = 1 if pinned else seen[0]["workers"]
        ttls = spaced(12, 400)
        expected = [formula.mesh(seen[0]["groups"], ttl, processes, workers, shared=shared) for ttl in ttls]
        plot.plot(ttls, expected, line, color=colour, label=label)
        plot.plot([r["max_ttl"] for r in seen], [r["callouts"] for r in seen], "o", color=colour, markersize=5)
    plot.set(xscale="log", ylim=(0, 26_000), xlabel="max_ttl in seconds", ylabel="callouts per second")
    plain(plot.xaxis, [15, 30, 60, 120, 300])
    plot.yaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))
    plot.legend(title="the requests of a session reach", loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    plot.set_title("A million sessions, 1,000 processes of 4 workers: formula (lines), simulation (points)", fontsize=10)
    return figure


def reach(rows: dict[str, list[dict]]):
    figure, plot = axes()
    seen = rows["reach"] + [r for r in rows["mesh"] if r["max_ttl"] == 60 and not r["pinned"]]
    groups = seen[0]["groups"]
    for shared, colour, label in ((True, BLUE, "shared level"), (False, ORANGE, "no shared level")):
        xs = spaced(1, 1000)
        plot.plot(xs, [formula.mesh(groups, 60, x, 4, shared=shared) for x in xs], color=colour, label=label)
        points = [(r["reach"], r["callouts"]) for r in seen if (r["shared_slots"] > 0) == shared]
        plot.plot(*zip(*points, strict=True), "o", color=colour, markersize=5)
    requests = sum(sessions * rate for sessions, rate in groups)
    plot.axhline(requests, linestyle=":", color=GREY, label="requests")
    plot.set(xscale="log", ylim=(0, 26_000), xlabel="processes over which the requests of a session are spread")
    plot.set_ylabel("per second")
    plain(plot.xaxis, [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000])
    plot.yaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))
    plot.legend(loc="lower right")
    plot.set_title("A million sessions, max_ttl 60 s: callouts by how far requests are spread", fontsize=10)
    return figure


def logout(rows: list[dict]):
    figure, plot = axes()
    for processes, colour in ((1, BLUE), (2, GREEN), (5, ORANGE), (20, RED), (100, GREY)):
        row = next(r for r in rows if (r["reach"], r["max_ttl"], r["rings"]) == (processes, 60, True))
        label = "1 process" if processes == 1 else f"{processes} processes"
        plot.plot(row["last"], range(101), color=colour, label=label)
    plot.axvline(60, linestyle=":", color="black", label="max_ttl")
    plot.set(xlim=(-1, 66), xlabel="seconds from the sign-out to the last request that was served")
    plot.set_ylabel("% of sessions")
    plot.legend(loc="upper left", bbox_to_anchor=(0.03, 1))
    plot.set_title("Sign-out through one process, requests to all of them, max_ttl 60 s", fontsize=10)
    return figure


def cold(rows: list[dict]):
    figure, (above, below) = plt.subplots(2, 1, figsize=(7.2, 5), sharex=True)
    for row, colour in zip(rows, (BLUE, RED, GREEN), strict=True):
        bound = f"auth service makes {row['capacity']:,.0f} a second" if row["capacity"] else "auth service without bound"
        label = f"{bound}, max_in_flight {row['max_in_flight']}"
        above.plot([second["callouts"] for second in row["timeline"]], color=colour, label=label, linewidth=1.2)
        below.plot([second["unavailable"] for second in row["timeline"]], color=colour, linewidth=1.2)
    above.set(ylabel="callouts per second", ylim=(0, None))
    below.set(ylabel="503 per second", xlabel="seconds after all processes started with empty caches", ylim=(-40, None))
    above.legend(loc="upper right", bbox_to_anchor=(1, 1.05), fontsize=9)
    above.set_title("Cold start: 100,000 sessions, 20 processes of 4 workers, max_ttl 60 s", fontsize=10)
    return figure


def outage(rows: list[dict]):
    figure, plot = axes()
    timeline = rows[0]["timeline"]
    shown = (("requests", GREY), ("callouts", BLUE), ("stale", ORANGE), ("unavailable", RED))
    names = {"stale": "served past max_ttl", "unavailable": "answered 503"}
    for name, colour in shown:
        plot.plot([second[name] for second in timeline], color=colour, label=names.get(name, name), linewidth=1.2)
    plot.axvspan(30, 150, color="#eeeeee", zorder=0, label="auth service is down")
    plot.set(xlabel="seconds", ylabel="per second", ylim=(0, None))
    plot.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)
    plot.set_title("Two minutes without the auth service: 100,000 sessions, 20 processes of 4 workers", fontsize=10)
    return figure


if __name__ == "__main__":
    sys.exit(main())
