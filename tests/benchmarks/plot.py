# SPDX-License-Identifier: Apache-2.0
"""The plot of what waiting costs: requests and processor time over the number of waits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks.rows import TITLES, Figures, Row

#: The drawn subjects and their colors, which everybody can tell apart.
_COLORS = {"dbt": "#d55e00", "databricks": "#009e73", "ours": "#0072b2"}

_INK = "#333333"


def draw(results: Mapping[Row, Figures], file: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    # The same figures give the same file.
    mpl.rcParams.update({"svg.hashsalt": "agentruns", "svg.fonttype": "none", "font.size": 10, "text.color": _INK})
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    _panel(left, "requests", _lines(results, "requests"))
    _panel(right, "CPU seconds", _lines(results, "cpu"))
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    figure.savefig(file, facecolor="white", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)


def _lines(results: Mapping[Row, Figures], what: str) -> dict[str, list[tuple[int, float]]]:
    lines: dict[str, list[tuple[int, float]]] = {}
    for row, figures in results.items():
        if row.subject in _COLORS and not row.limited and not row.particulars:
            lines.setdefault(row.subject, []).append((row.waits, getattr(figures, what)))
    return lines


def _panel(axes: Any, title: str, lines: Mapping[str, list[tuple[int, float]]]) -> None:
    from matplotlib.ticker import FuncFormatter

    most: dict[int, float] = {}
    for points in lines.values():
        most.update({waits: value for waits, value in points if value > most.get(waits, 0)})
    for name, points in lines.items():
        axes.plot(*zip(*points, strict=True), marker="o", linewidth=2, color=_COLORS[name], label=TITLES[name])
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
                color=_COLORS[name],
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
