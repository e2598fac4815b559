#!/usr/bin/env python3
"""Draws docs/cost.svg, the chart in the README, from docs/cost.json.

    docs/chart.py           writes docs/cost.svg
    docs/chart.py --check   fails if docs/cost.svg is not current, or if docs/benchmarks.md has other figures

docs/cost.json has the ranges of the benches `receive` and `background`, as in the tables of docs/benchmarks.md. After a
new run, change both files. Needs Python 3.8, and nothing else.
"""

import json
import pathlib
import re
import sys

DOCS = pathlib.Path(__file__).resolve().parent
LEFT, TOP, WIDTH, BAR, GAP, LABEL = 270, 58, 600, 15, 16, 60
FULL_SCALE = 3.0

STYLE = """
    .ground { fill: #ffffff; stroke: #d0d7de; }
    .grid { stroke: #d8dee4; }
    .bare { stroke: #b35900; stroke-width: 1.5; stroke-dasharray: 5 4; }
    .size0 { fill: #0969da; } .size1 { fill: #1a7f37; }
    .range { opacity: 0.45; }
    text { font-family: -apple-system, "Segoe UI", "DejaVu Sans", Helvetica, Arial, sans-serif; font-size: 13px; fill: #1f2328; }
    .note { font-size: 12px; fill: #57606a; }
    .mark { font-size: 12px; fill: #b35900; }
    @media (prefers-color-scheme: dark) {
      .ground { fill: #0d1117; stroke: #30363d; }
      .grid { stroke: #30363d; }
      .bare { stroke: #e3a04f; }
      .size0 { fill: #58a6ff; } .size1 { fill: #3fb950; }
      text { fill: #e6edf3; }
      .note { fill: #9ea7b3; }
      .mark { fill: #e3a04f; }
    }
"""


def x_of(ratio):
    return round(LEFT + WIDTH * ratio / FULL_SCALE, 1)


def text(x, y, words, kind="", anchor="start"):
    kind = f' class="{kind}"' if kind else ""
    return f'  <text{kind} x="{x}" y="{y}" text-anchor="{anchor}">{words}</text>'


def bars(server, top):
    """The bars of one server: solid up to the lowest run, faded up to the highest."""
    lines = [text(LEFT - 12, top + BAR + 5, server["name"], anchor="end")]
    for size, (low, high) in enumerate(server["ratios"]):
        y = top + size * (BAR + 1)
        for kind, start, end in ((f"size{size}", 0, low), (f"size{size} range", low, high)):
            width = round(x_of(end) - x_of(start), 1)
            lines.append(f'  <rect class="{kind}" x="{x_of(start)}" y="{y}" width="{width}" height="{BAR}"/>')
        x = x_of(high) + 6
        if x < x_of(1) < x + LABEL:
            x = x_of(1) + 6
        lines.append(text(x, y + 12, f"{low * 100:.0f}–{high * 100:.0f} %", "note"))
    return lines


def chart(data):
    row = 2 * BAR + 1 + GAP
    bottom = TOP + row * len(data["servers"]) - GAP + 8
    height = bottom + 62
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 {height}" role="img" aria-labelledby="title">',
        f'  <title id="title">{data["unit"]}</title>',
        f"  <style>{STYLE}  </style>",
        f'  <rect class="ground" x="1" y="1" width="958" height="{height - 2}" rx="8"/>',
        text(LEFT, 24, data["unit"][0].upper() + data["unit"][1:]),
    ]
    for percent in range(0, int(FULL_SCALE * 100) + 1, 50):
        x = x_of(percent / 100)
        lines.append(f'  <line class="grid" x1="{x}" y1="{TOP - 10}" x2="{x}" y2="{bottom}"/>')
        lines.append(text(x, bottom + 17, f"{percent} %", "note", "middle"))
    for number, server in enumerate(data["servers"]):
        lines += bars(server, TOP + number * row)
    lines.append(f'  <line class="bare" x1="{x_of(1)}" y1="{TOP - 14}" x2="{x_of(1)}" y2="{bottom}"/>')
    lines.append(text(x_of(1) + 6, TOP - 10, f'100 %: {data["bare"]}', "mark"))
    x = LEFT
    for size, name in enumerate(data["sizes"]):
        lines.append(f'  <rect class="size{size}" x="{x}" y="{bottom + 32}" width="12" height="12"/>')
        lines.append(text(x + 18, bottom + 43, f"bodies of {name}", "note"))
        x += 140
    lines.append(text(x, bottom + 43, "faded: range of three runs", "note"))
    return "\n".join(lines + ["</svg>", ""])


def figures_of(page, section, row):
    """The ranges of requests per second in a row of docs/benchmarks.md: the columns of each size."""
    body = page.split(f"\n## {section}\n")[1].split("\n## ")[0]
    line = next(line for line in body.splitlines() if line.startswith(f"| {row} |"))
    cells = [cell.strip() for cell in line.split("|")[2:-1]]
    return [[float(number) for number in re.findall(r"[0-9.]+", cell)] for cell in (cells[0], cells[2])]


def check(data, svg):
    page = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
    for server in data["servers"]:
        measured = figures_of(page, server["section"], server["row"])
        if measured != server["ratios"]:
            sys.exit(f"{server['name']}: {server['ratios']} in cost.json, {measured} in benchmarks.md")
    if svg != (DOCS / "cost.svg").read_text(encoding="utf-8"):
        sys.exit("docs/cost.svg is not current; run docs/chart.py")


def main():
    data = json.loads((DOCS / "cost.json").read_text(encoding="utf-8"))
    svg = chart(data)
    if sys.argv[1:] == ["--check"]:
        check(data, svg)
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        (DOCS / "cost.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
