"""Measures session-bearer beside what somebody would use instead, in real Envoys, and writes docs/benchmarks.md.

`make bench` runs it; the environment says how much: BENCH_ROUNDS, BENCH_SECONDS, CHURN_SECONDS. BENCH_ONLY names some
contenders or parts, whose figures are then printed and not written.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import comparison
import growth
from contenders import NOOP_MODULE, Keys, side_by_side
from proxy import CORES, LOADING, ROOT, cores_in_use, keep_to, machine
from rounds import Plan
from services import long_lived, services

import stack

RESULTS = ROOT / "target" / "bench" / "results.json"
# How much of a core other programs may use without disturbing what is measured.
QUIET = 0.1
PLOTS_PYTHON = ROOT / "target" / "bench" / "venv" / "bin" / "python"


def say(line: str) -> None:
    print(line, flush=True)


def number(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdigit() or int(text) < 1:
        raise SystemExit(f"error: {name}={text} is not a whole number above 0")
    return int(text)


def parts(keys: Keys, only: set[str], churn_seconds: int) -> dict[str, tuple[str, Callable[[Plan], object]]]:
    """What is measured, in order: a name, what a person reads meanwhile, the measuring."""
    return {
        "saturated": ("side by side, as fast as each can", lambda plan: comparison.saturated(plan, keys, only)),
        "paced": ("side by side, about 3,000 requests a second", lambda plan: comparison.paced(plan, keys, only)),
        "cold": ("every request a new session", comparison.cold),
        "verification": ("every request a new token", lambda plan: comparison.verification(plan, keys)),
        "upstream": ("with a backend behind", lambda plan: comparison.upstream(plan, keys)),
        "workers": ("one worker and two", comparison.workers),
        "sessions": ("by sessions remembered", growth.sessions),
        "fields": ("by header fields", growth.fields),
        "cookies": ("by cookies", growth.cookies),
        "sizes": ("by the size of one field", growth.sizes),
        "memory": ("memory for each session", growth.memory),
        "churn": (f"memory while sessions come and go, {churn_seconds} s", lambda plan: growth.churn(plan, churn_seconds)),
        "start": ("until Envoy is ready", comparison.start),
    }


def chosen(names: dict, keys: Keys) -> tuple[list[str], set[str]]:
    """The parts and contenders that BENCH_ONLY names; no contenders stands for all of them."""
    only = {name for name in os.environ.get("BENCH_ONLY", "").split(",") if name}
    contenders = only & side_by_side(keys).keys()
    wanted = [name for name in names if name in only] or (["saturated"] if contenders else [])
    if unknown := only - contenders - set(names):
        known = ", ".join([*side_by_side(keys), *names])
        raise SystemExit(f"error: BENCH_ONLY names {', '.join(sorted(unknown))}; there are {known}")
    return wanted, contenders


def measure(rounds: int, seconds: int, churn_seconds: int) -> tuple[dict, bool]:
    """The figures by part, and whether they are complete."""
    say("minting keys and tokens")
    keys = Keys(*(name for name in comparison.ALGORITHMS if name != "HS256"))
    wanted, only = chosen(parts(keys, set(), churn_seconds), keys)
    listed = parts(keys, only, churn_seconds)
    token, began = long_lived(), time.monotonic()
    minted = {"HS256": token} | {name: keys.mint(name, exp=int(time.time()) + 24 * 3600) for name in ("RS256", "ES256")}
    figures: dict = {"rounds": rounds, "seconds": seconds, "token": len(token), "module": comparison.module()}
    figures["contenders"] = {name: [made.title, made.family] for name, made in side_by_side(keys).items()}
    with tempfile.TemporaryDirectory(prefix="session-bearer-bench-") as folder, services(Path(folder) / "services", token) as running:
        figures["machine"] = machine(running)
        plan = Plan.make(rounds, seconds, running.port(), Path(folder), minted, say)
        for name in wanted or listed:
            title, run = listed[name]
            say(f"[{time.monotonic() - began:4.0f} s] {name}: {title}")
            figures[name] = run(plan)
    figures["took"] = time.monotonic() - began
    say(f"[{figures['took']:4.0f} s] done")
    return figures, not wanted


def exact_counts() -> list[str]:
    """The tests that count host calls and allocations, by their names, which say what they assert."""
    named = re.compile(r"^fn (\w*costs?_\w*(?:host_calls?|allocations?|allocates)\w*)\(", re.MULTILINE)
    return [name.replace("_", " ") for path in sorted((ROOT / "tests").glob("*.rs")) for name in named.findall(path.read_text())]


def main() -> int:
    if len(CORES) < 2:
        raise SystemExit("error: one core for Envoy and one for the load generator are needed, and there is one in all")
    if not (ROOT / NOOP_MODULE).exists():
        raise SystemExit(f"error: {NOOP_MODULE} is missing: run `make bench`, which builds it")
    if (others := cores_in_use()) > QUIET:
        say(f"warning: other programs keep {others:.1f} cores busy; the figures will be off")
    stack.stop_on_signals()
    keep_to(LOADING)
    figures, complete = measure(number("BENCH_ROUNDS", 5), number("BENCH_SECONDS", 3), number("CHURN_SECONDS", 20))
    if not complete:
        say("only a part was measured, so docs/benchmarks.md stays as it is")
        return 0
    figures["counts"] = exact_counts()
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=1))
    keep_to(CORES)
    return subprocess.call([str(PLOTS_PYTHON), str(ROOT / "benches" / "report.py"), str(RESULTS)], cwd=ROOT)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
