#!/usr/bin/env python3
"""Tables and plots from what was measured: `report.py FILE.json [--publish]`; publishing puts them into docs/."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

from tools import ROOT, VENV

DOCS = ROOT / "docs"


def ratios(group, tool, what):
    """What a tool took in each round, as multiples of the bare loop in the same round."""
    return [run[what] / bare[what] for run, bare in zip(group["runs"][tool], group["runs"]["bare"])]


def middle(group, tool, what):
    return median(run[what] for run in group["runs"][tool])


def row(group, tool):
    wall = ratios(group, tool, "wall")
    peak = middle(group, tool, "peak_kib") / 1024
    cells = [group["graph"], f"{group['count']:,}", str(group["width"]), tool, f"{middle(group, tool, 'wall'):.2f}"]
    cells += [f"{median(wall):.2f}", f"{min(wall):.2f} to {max(wall):.2f}", f"{middle(group, tool, 'cpu'):.2f}"]
    return [*cells, f"{median(ratios(group, tool, 'cpu')):.2f}", f"{peak:.0f}", str(len(wall))]


def table(found):
    head = ["graph", "operations", "at once", "tool", "seconds", "times bare", "range", "CPU s", "CPU, times bare", "peak MiB", "rounds"]
    rows = [row(group, tool) for group in found["groups"] for tool in group["runs"]]
    lines = ["| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows]]
    hung = [f"\n{message} ({group['graph']}).\n" for group in found["groups"] for message in group["hung"].values()]
    return "\n".join(lines) + "\n" + "".join(hung)


def told(found):
    machine = found["machine"]
    foreign = max(group["foreign_load"] for group in found["groups"])
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items() if name != "bare")
    return (
        f"{machine['date']}, pop at {machine['commit']}; {machine['processor']}, {machine['cores']} cores, "
        f"{machine['system']}, kernel {machine['kernel']}; at most {foreign:.0%} of the processors' time went to "
        f"other work during a group of rounds.\nVersions: {versions}.\n"
    )


def commands(found):
    """The command line of each tool at the first graph it was run on."""
    lines = {}
    for group in found["groups"]:
        for tool, command in group["commands"].items():
            lines.setdefault(tool, command)
    return "```console\n" + "".join(f"$ {command}\n" for command in lines.values()) + "```\n"


def publish(name, text):
    """Replaces what stands in docs/speed.md between the marks of this name."""
    page = DOCS / "speed.md"
    begin, end = f"<!-- {name}: made by bench/run -->\n", f"<!-- end of {name} -->\n"
    before, _, rest = page.read_text().partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        sys.exit(f"{page} has no place for {name}")
    page.write_text(before + begin + text + end + after)


def report(raw, is_published):
    found = json.loads(raw.read_text())
    text = told(found) + "\n" + table(found)
    if raw.stem == "speed":
        text += "\n" + commands(found)
    raw.with_suffix(".md").write_text(text)
    print(text)
    plot = raw.with_suffix(".svg")
    subprocess.run([VENV / "python", ROOT / "bench" / "plot.py", raw, plot], check=True)
    print(f"{raw}, {plot}", file=sys.stderr)
    if is_published:
        publish(raw.stem, f"\n![{raw.stem}]({plot.name})\n\n{text}\n")
        shutil.copy(plot, DOCS / plot.name)


if __name__ == "__main__":
    report(Path(sys.argv[1]), is_published="--publish" in sys.argv[2:])
