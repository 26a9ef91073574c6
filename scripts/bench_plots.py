"""Plots of the benchmark, as SVG: a bar per row against each peer, and rates over depth."""

import math

WIDTH, LEFT, RIGHT = 860, 300, 40
COLOURS = {"inflight": "#1f6f8b", "glibc": "#c05746", "peer": "#8a8d91"}
STYLE = ("<style>text{font:12px sans-serif;fill:#222}.small{font-size:11px;fill:#555}"
         ".grid{stroke:#ddd}.axis{stroke:#888}</style>")


def svg(height, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}">{STYLE}<rect width="100%" height="100%" fill="#fff"/>'
            + "".join(parts) + "</svg>\n")


def text(x, y, content, anchor="start", kind=""):
    content = content.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{content}</text>'


def line(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def bars(rows):
    """Ratios on a logarithmic axis, so that twice and half are equally far from one."""
    step, top = 34, 60
    height = top + step * len(rows) + 30
    low, high = math.log(0.2), math.log(40)

    def place(ratio):
        clamped = min(max(math.log(max(ratio, 0.01)), low), high)
        return LEFT + (clamped - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    parts = [text(LEFT, 20, "Rate of inflight as a multiple of glibc's AIO and of the best peer")]
    for at, (name, colour) in enumerate((("against glibc", "glibc"), ("against the peer", "peer"))):
        parts.append(f'<rect x="{LEFT + at * 150}" y="28" width="12" height="10" '
                     f'fill="{COLOURS[colour]}"/>' + text(LEFT + at * 150 + 18, 37, name))
    for tick in (0.25, 0.5, 1, 2, 4, 8, 16, 32):
        parts.append(line(place(tick), top - 8, place(tick), height - 25,
                          "axis" if tick == 1 else "grid"))
        parts.append(text(place(tick), height - 10, f"{tick:g}x", "middle", "small"))
    for number, row in enumerate(rows):
        y = top + number * step
        parts.append(text(LEFT - 10, y + 14, row["name"], "end"))
        for offset, key, colour in ((0, "against_glibc", "glibc"), (12, "against_peer", "peer")):
            ratio = row[key]
            if ratio == 0:
                continue
            a, b = sorted((place(1), place(ratio)))
            parts.append(f'<rect x="{a:.1f}" y="{y + offset}" width="{max(b - a, 1):.1f}" height="10" '
                         f'fill="{COLOURS[colour]}"/>')
            parts.append(text(b + 4, y + offset + 9, f"{ratio:.2f}", "start", "small"))
    return svg(height, parts)


def lines(name, series, figure, what):
    """A figure ("median" or "p99") over the number outstanding, which doubles from tick to tick."""
    height, bottom, left = 320, 270, 90
    depths = [row["depth"] for row in series]
    # What glibc's latencies reach at depth would press the others flat.
    compared = ("own", "glibc", "peer") if figure == "median" else ("own", "peer")
    most = 1.1 * max(max(row[key][figure] for key in compared) for row in series)

    def x(depth):
        return left + math.log2(depth) / max(1, math.log2(depths[-1])) * (WIDTH - left - 150)

    def y(value):
        return bottom - min(value / most, 1) * (bottom - 50)

    parts = [text(left, 24, f"{name}: {what} over requests outstanding")]
    for part in range(5):
        rate = most * part / 4
        parts.append(line(left, y(rate), WIDTH - 150, y(rate), "grid"))
        parts.append(text(left - 8, y(rate) + 4, f"{rate:,.0f}", "end", "small"))
    for depth in depths:
        parts.append(text(x(depth), bottom + 18, str(depth), "middle", "small"))
    for key, label in (("own", "inflight"), ("glibc", "glibc"), ("peer", series[0]["peer"]["way"])):
        colour = COLOURS.get(label, COLOURS["peer"])
        points = [(x(row["depth"]), y(row[key][figure])) for row in series]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(text(points[-1][0] + 8, points[-1][1] + 4, label))
    return svg(height, parts)
