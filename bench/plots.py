"""Plots of figures as SVG text, without a library."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 60, 200, 40, 50
FONT = 'font-family="sans-serif" font-size="12"'
COLOURS = ("#1b6ca8", "#c8553d", "#4f772d", "#7d5ba6")


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a plot: its name and its points, all of them > 0."""

    label: str
    points: list[tuple[float, float]]


def loglog_svg(
    title: str,
    x_label: str,
    y_label: str,
    series: list[Series],
    limit: tuple[str, float] | None = None,
) -> str:
    """Lines on two logarithmic axes, with a dashed one at the limit where there is one."""
    xs = [x for each in series for x, _ in each.points]
    ys = [y for each in series for _, y in each.points] + ([limit[1]] if limit else [])
    x_low, x_high = log10(min(xs)), log10(max(xs))
    y_low, y_high = floor(log10(min(ys))), ceil(log10(max(ys)))
    x_span, y_span = (x_high - x_low) or 1, (y_high - y_low) or 1

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (log10(x) - x_low) / x_span * (WIDTH - LEFT - RIGHT)
        down = HEIGHT - BOTTOM - (log10(y) - y_low) / y_span * (HEIGHT - TOP - BOTTOM)
        return round(across, 1), round(down, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {FONT}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="15">{escape(title)}</text>',
        f'<text x="{LEFT}" y="{HEIGHT - 12}">{escape(x_label)}</text>',
        f'<text x="8" y="{TOP - 6}">{escape(y_label)}</text>',
    ]
    for power in range(y_low, y_high + 1):
        _, down = place(10**x_low, 10.0**power)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down}" y2="{down}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{down + 4}" text-anchor="end">{10.0**power:g}</text>')
    for x in sorted(set(xs)):
        across, _ = place(x, 10.0**y_low)
        parts.append(f'<text x="{across}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{x:g}</text>')
    for number, each in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        dots = [place(x, y) for x, y in each.points]
        line = " ".join(f"{across},{down}" for across, down in dots)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{across}" cy="{down}" r="3" fill="{colour}"/>' for across, down in dots]
        down = TOP + 18 * number + 10
        parts.append(f'<text x="{WIDTH - RIGHT + 12}" y="{down}" fill="{colour}">{escape(each.label)}</text>')
    if limit is not None:
        _, down = place(10**x_low, limit[1])
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down}" y2="{down}"'
            ' stroke="#999" stroke-dasharray="4"/>'
        )
        parts.append(f'<text x="{WIDTH - RIGHT + 12}" y="{down + 4}" fill="#666">{escape(limit[0])}</text>')
    return "\n".join([*parts, "</svg>", ""])
