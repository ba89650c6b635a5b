"""Line plots as SVG, small enough to be written by hand."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 520, 260
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 10, 52
# Told apart by the colour-blind too (Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
DASHES = ("", "6 3", "2 3")
TICKS = 4


@dataclass(frozen=True)
class Plot:
    """Lines by name: epoch to a value of at least 0."""

    title: str
    lines: dict[str, dict[int, float]]


def svg(plot: Plot) -> str:
    """The plot as an svg element; an empty one says so."""
    points = [point for line in plot.lines.values() for point in line.items()]
    if not points:
        return "<p>nothing was measured</p>"
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    top = _round_up(max(y for _, y in points))
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(plot.title)}">']
    parts += _axes(x_low, x_high, top)
    for index, (name, line) in enumerate(plot.lines.items()):
        places = " ".join(f"{_x(x, x_low, x_high):.1f},{_y(y, top):.1f}" for x, y in line.items())
        stroke = _stroke(index)
        if len(line) == 1:
            x, y = places.split(",")
            parts.append(f'<circle cx="{x}" cy="{y}" r="3" fill="{_colour(index)}"/>')
        parts.append(f'<polyline points="{places}" fill="none" {stroke}/>')
        parts.append(_legend(index, name, stroke))
    return "".join([*parts, "</svg>"])


def _axes(x_low: int, x_high: int, top: float) -> list[str]:
    found = []
    for tick in range(TICKS + 1):
        value = top * tick / TICKS
        y = _y(value, top)
        found.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dde2e7"/>')
        found.append(_text(LEFT - 6, y + 4, f"{value:.3g}", "end"))
    marks = sorted({x_low, (x_low + x_high) // 2, x_high})
    below = HEIGHT - BOTTOM + 16
    return found + [_text(_x(x, x_low, x_high), below, str(x), "middle") for x in marks]


def _legend(index: int, name: str, stroke: str) -> str:
    x, y = LEFT + index % 4 * 118, HEIGHT - 18 + index // 4 * 14
    return f'<line x1="{x}" x2="{x + 18}" y1="{y}" y2="{y}" {stroke}/>' + _text(x + 23, y + 4, name, "start")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="11" text-anchor="{anchor}">{escape(text)}</text>'


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _stroke(index: int) -> str:
    dash = DASHES[index // len(COLOURS) % len(DASHES)] or DASHES[index % len(DASHES)]
    return f'stroke="{_colour(index)}" stroke-width="2" stroke-dasharray="{dash}"'


def _x(x: int, low: int, high: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (x - low) / max(1, high - low)


def _y(y: float, top: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - y / top)


def _round_up(value: float) -> float:
    """The end of the axis: the next of 0.1, 0.2, 0.5 and so on."""
    if value <= 0:
        return 1.0
    step = 10.0
    while step * 0.1 >= value:
        step /= 10
    while step < value:
        step *= 10
    return next(step * part for part in (0.1, 0.2, 0.5, 1.0) if step * part >= value * (1 - 1e-9))
