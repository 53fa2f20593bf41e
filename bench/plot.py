"""Plots what was measured: `plot.py FILE.json FILE.svg`, run by the interpreter that has matplotlib."""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, NullFormatter
from report import median, middle, ratios

# readable on white and on black: neither text nor colours are near to either
GREY = "#7f8790"
COLOURS = {"wide": "#2f81f7", "chain": "#d9822b", "layers": "#2da44e"}
MARKERS = {"wide": "o", "chain": "s", "layers": "^"}
SIZE = 9
PLAIN = FuncFormatter(lambda value, _: f"{value:,.12g}")

plt.rcParams.update(
    {"svg.hashsalt": "pop", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": SIZE}
    | {name: GREY for name in ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")}
)


def bare_axes(axes):
    axes.set_facecolor("none")
    axes.grid(color=GREY, alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def speed(found):
    """Each tool's wall time as a multiple of the bare loop's, one mark for each graph."""
    points = {}
    for group in found["groups"]:
        for tool in group["runs"]:
            if tool != "bare":
                wall = ratios(group, tool, "wall")
                points.setdefault(tool, []).append((group, median(wall), min(wall), max(wall)))
    tools = sorted(points, key=lambda tool: max(point[1] for point in points[tool]), reverse=True)
    figure, axes = plt.subplots(figsize=(7.5, 0.36 * len(tools) + 1.2))
    bare_axes(axes)
    seen = set()
    for line, tool in enumerate(tools):
        for group, middle_, least, most in points[tool]:
            graph = group["graph"]
            label = None if graph in seen else f"{graph}, {group['width']} at once"
            seen.add(graph)
            height = line + {"wide": 0.2, "chain": 0, "layers": -0.2}[graph]
            axes.plot([least, most], [height, height], color=COLOURS[graph], alpha=0.5, linewidth=1.5)
            axes.plot(middle_, height, MARKERS[graph], color=COLOURS[graph], markersize=5, label=label)
    axes.axvline(1, color=GREY, linewidth=1)
    axes.set_yticks(range(len(tools)), tools)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(PLAIN)
    axes.set_xlabel("wall time, times a bare loop of spawn and wait (1 = as fast); marks are medians, lines the range")
    axes.legend(frameon=False, loc="upper right", fontsize=SIZE)
    return figure


def scale(found):
    """What an operation costs, and the peak memory, against the number of operations."""
    figure, (time, memory) = plt.subplots(1, 2, figsize=(7.5, 2.9), layout="constrained")
    groups = sorted(found["groups"], key=lambda group: group["count"])
    counts = [group["count"] for group in groups]
    for tool, colour in (("pop", COLOURS["wide"]), ("bare", GREY)):
        for what, style in (("wall", "-o"), ("cpu", ":o")):
            cost = [middle(group, tool, what) / group["count"] * 1e6 for group in groups]
            time.plot(counts, cost, style, color=colour, markersize=4, label=f"{tool}, {what}")
        memory.plot(counts, [middle(group, tool, "peak_kib") / 1024 for group in groups], "-o", color=colour, markersize=4, label=tool)
    time.set_ylim(bottom=0)
    time.set_ylabel("microseconds an operation")
    memory.set_yscale("log")
    memory.set_ylabel("peak memory, MiB")
    memory.yaxis.set_major_formatter(PLAIN)
    for axes in (time, memory):
        bare_axes(axes)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(PLAIN)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("operations, wide")
        axes.legend(frameon=False, fontsize=SIZE)
    return figure


raw, plot = Path(sys.argv[1]), Path(sys.argv[2])
made = {"speed": speed, "scale": scale}[raw.stem](json.loads(raw.read_text()))
made.savefig(plot, transparent=True, bbox_inches="tight", metadata={"Date": None})
