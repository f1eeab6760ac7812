# SPDX-License-Identifier: Apache-2.0
"""The plot of what waiting costs: requests and processor time over the number of waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import Figures, Result
from tests.benchmarks.rows import Row
from tests.benchmarks.subjects import KINDS

#: Who is drawn, in which colour. The colours can be told apart by everybody.
_COLOURS = {"dbt": "#d55e00", "databricks": "#009e73", "ours": "#0072b2"}

_INK = "#333333"


def draw(rows: Sequence[Row], results: Mapping[str, Result], file: Path) -> None:
    """Draw the rows without a limit into an SVG file."""
    import matplotlib as mpl

    mpl.use("svg")
    # The same figures give the same file.
    mpl.rcParams.update({"svg.hashsalt": "agentruns", "svg.fonttype": "none", "font.size": 10, "text.color": _INK})
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    _panel(left, "requests", {name: _points(rows, results, name, "requests") for name in _COLOURS})
    _panel(right, "CPU seconds", {name: _points(rows, results, name, "cpu") for name in _COLOURS})
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    figure.savefig(file, facecolor="white", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)


def _points(rows: Sequence[Row], results: Mapping[str, Result], subject: str, what: str) -> list[tuple[int, float]]:
    points = []
    for row in rows:
        found = results[row.name]
        if row.subject == subject and row.usual and not row.limited and isinstance(found, Figures):
            points.append((row.waits, getattr(found, what)))
    return sorted(points)


def _panel(axes: Any, title: str, lines: Mapping[str, list[tuple[int, float]]]) -> None:
    from matplotlib.ticker import FuncFormatter

    most: dict[int, float] = {}
    for points in lines.values():
        most.update({waits: value for waits, value in points if value > most.get(waits, 0)})
    for name, points in lines.items():
        if not points:
            continue
        axes.plot(*zip(*points, strict=True), marker="o", linewidth=2, color=_COLOURS[name], label=KINDS[name].title)
        for waits, value in points:
            # Two lines may run close together: the upper one has its numbers above, all others below.
            above = value == most[waits]
            axes.annotate(
                f"{value:,.0f}" if value >= 10 else f"{value:.2g}",
                (waits, value),
                xytext=(0, 6 if above else -13),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color=_COLOURS[name],
            )
    axes.set(xscale="log", yscale="log")
    axes.set_title(title, color=_INK)
    axes.set_xlabel("waits", color=_INK)
    axes.margins(x=0.12, y=0.18)
    axes.set_xticks(list(most), [f"{waits:,}" for waits in most])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.minorticks_off()
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")
    axes.tick_params(colors=_INK)
