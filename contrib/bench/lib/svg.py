# SPDX-License-Identifier: BSD-2-Clause
"""A few kinds of charts as SVG, readable on light and on dark backgrounds."""

import math
from xml.sax.saxutils import escape

# Told apart by eyes that see no red or no green, and on both backgrounds. Shapes and labels repeat what colours say.
LOOKS = {"turnpike": ("#2f7fd0", "circle"), "floor": ("#8a8f98", "square"), "turnserver": ("#d9822b", "diamond")}
OTHERS = [("#1f9e89", "triangle"), ("#a561c4", "square"), ("#c2447a", "circle"), ("#b59f00", "diamond")]
STYLE = """<style>
.page { fill: #ffffff } .ink { fill: #1f2328 } .soft { fill: #59636e } .grid { stroke: #d8dee4; stroke-width: 1 }
.axis { stroke: #59636e; stroke-width: 1 } .whisker { stroke: #1f2328; stroke-width: 1.2 }
.good { fill: #1a7f37 } .bad { fill: #cf222e }
.target { stroke: #1f2328; stroke-width: 2.5 } .even { fill: #59636e; fill-opacity: 0.07 }
text { font-family: system-ui, -apple-system, "Segoe UI", sans-serif; font-size: 12px }
.title { font-size: 15px; font-weight: 600 } .small { font-size: 11px }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117 } .ink { fill: #e6edf3 } .soft { fill: #9198a1 } .grid { stroke: #30363d } .axis { stroke: #9198a1 }
.whisker { stroke: #e6edf3 } .good { fill: #3fb950 } .bad { fill: #f85149 } .target { stroke: #e6edf3 } }
</style>"""


def looks_of(names):
    """{name: (colour, shape)}: the same in every picture for those that are known."""
    others = [name for name in names if name not in LOOKS]
    return {name: LOOKS.get(name) or OTHERS[others.index(name) % len(OTHERS)] for name in names}


class Drawing:
    """Shapes in pixels from the upper left corner."""

    def __init__(self, width, height, title):
        self.width, self.height, self.parts = width, height, []
        self.title = title
        self.text(16, 26, title, "title ink")

    def add(self, name, **attributes):
        pairs = " ".join(f'{k.rstrip("_").replace("_", "-")}="{v:.2f}"' if isinstance(v, float) else
                         f'{k.rstrip("_").replace("_", "-")}="{escape(str(v))}"' for k, v in attributes.items())
        self.parts.append(f"<{name} {pairs}/>")

    def text(self, x, y, text, class_="ink", anchor="start"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{class_}" text-anchor="{anchor}">{escape(text)}</text>')

    def line(self, x1, y1, x2, y2, class_="axis"):
        self.add("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_)

    def mark(self, x, y, shape, colour=None, size=4, class_=None):
        how = {"fill": colour} if colour else {"class_": class_}
        if shape == "square":
            self.add("rect", x=float(x - size), y=float(y - size), width=2 * size, height=2 * size, **how)
        elif shape == "circle":
            self.add("circle", cx=float(x), cy=float(y), r=size, **how)
        else:
            size *= 1.3
            points = [(x, y - size), (x + size, y), (x, y + size), (x - size, y)]
            if shape == "triangle":
                points = [(x, y - size), (x + size, y + size), (x - size, y + size)]
            self.add("polygon", points=" ".join(f"{a:.1f},{b:.1f}" for a, b in points), **how)

    def legend(self, x, y, names):
        """names: [(text, colour, shape)]"""
        for text, colour, shape in names:
            self.mark(x + 5, y - 4, shape, colour, 5)
            self.text(x + 16, y, text)
            x += 30 + 7 * len(text)

    def write(self, path):
        with open(path, "w", encoding="utf-8") as f:
            f.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
                    f'height="{self.height}" role="img">\n<title>{escape(self.title)}</title>\n{STYLE}\n'
                    f'<rect class="page" width="{self.width}" height="{self.height}"/>\n')
            f.write("\n".join(self.parts) + "\n</svg>\n")


def ticks(low, high, count=5):
    """Round numbers from low to high or a little beyond."""
    if high <= low:
        high = low + 1
    rough = (high - low) / count
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(i * step, 10) for i in range(first, last + 1)]


def powers(low, high):
    """1, 2, 5, 10, 20 ... around low to high."""
    found = [m * 10 ** e for e in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1) for m in (1, 2, 5)]
    first = max([t for t in found if t <= low] or found[:1])
    last = min([t for t in found if t >= high] or found[-1:])
    return [t for t in found if first <= t <= last]


def short(value):
    """1500 as 1.5k"""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def bars(path, title, unit, groups, series):
    """Horizontal bars with their spread. groups: [(label, {series: {median, low, high}})], series: names in order."""
    left, right, thick, gap = 200, 70, 13, 12
    height = 84 + sum(thick * max(1, len(values)) + gap for _, values in groups)
    drawing = Drawing(860, height + 20, title)
    looks = {name: colour for name, (colour, _) in looks_of(series).items()}
    drawing.legend(16, 50, [(name, looks[name], "square") for name in series])
    top = max((v["high"] for _, values in groups for v in values.values()), default=1)
    marks = ticks(0, top)
    scale = (drawing.width - left - right) / marks[-1]
    for mark in marks:
        drawing.line(left + mark * scale, 64, left + mark * scale, height - 16, "grid")
        label = short(mark) + (" " + unit if mark == marks[-1] else "")
        drawing.text(left + mark * scale, height, label, "soft small", "middle")
    y = 70
    for label, values in groups:
        drawing.text(left - 10, y + thick * len(values) / 2 + 4, label, anchor="end")
        for name in series:
            if name in values:
                value = values[name]
                drawing.add("rect", x=left, y=y, width=float(value["median"] * scale), height=thick - 2, fill=looks[name])
                middle = y + thick / 2 - 1
                if value["high"] > value["low"]:
                    drawing.line(left + value["low"] * scale, middle, left + value["high"] * scale, middle, "whisker")
                    for end in ("low", "high"):
                        drawing.line(left + value[end] * scale, middle - 3, left + value[end] * scale, middle + 3, "whisker")
                drawing.text(left + value["high"] * scale + 5, y + thick - 3, f"{value['median']:.2f}", "small ink")
                y += thick
        y += gap
    drawing.write(path)


class Panel:
    """A part of a drawing with two axes."""

    def __init__(self, drawing, box, x_marks, y_marks, log=False):
        self.drawing, self.log = drawing, log
        self.x, self.y, self.width, self.height = box
        self.x_marks, self.y_marks = x_marks, y_marks

    def at(self, x, y):
        low, high = self.x_marks[0], self.x_marks[-1]
        px = self.x + (x - low) / (high - low) * self.width
        low, high = self.y_marks[0], self.y_marks[-1]
        if self.log:
            y, low, high = math.log(max(y, low)), math.log(low), math.log(high)
        return px, self.y + self.height - (y - low) / (high - low) * self.height

    def axes(self, title, x_unit):
        d = self.drawing
        d.text(self.x, self.y - 10, title, "ink")
        for mark in self.y_marks:
            _, y = self.at(self.x_marks[0], mark)
            d.line(self.x, y, self.x + self.width, y, "grid")
            d.text(self.x - 6, y + 4, short(mark), "soft small", "end")
        for mark in self.x_marks:
            x, _ = self.at(mark, self.y_marks[0])
            d.text(x, self.y + self.height + 16, short(mark), "soft small", "middle")
        d.line(self.x, self.y + self.height, self.x + self.width, self.y + self.height)
        d.text(self.x + self.width, self.y + self.height + 32, x_unit, "soft small", "end")

    def curve(self, points, colour, shape=None):
        points = [self.at(x, y) for x, y in points]
        self.drawing.add("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points), fill="none", stroke=colour,
                         stroke_width=2, stroke_linejoin="round")
        for x, y in points if shape else ():
            self.drawing.mark(x, y, shape, colour, 3.5)


def curves(path, title, panels, series, x_unit, columns=2):
    """panels: [(title, {series: [(x, y)]}, logarithmic)], all with the same x; series: names in order."""
    width, height, left, top = 380, 190, 56, 92
    columns = min(columns, len(panels))
    lines = math.ceil(len(panels) / columns)
    drawing = Drawing(left + columns * (width + left), top + lines * (height + 74), title)
    looks = looks_of(series)
    drawing.legend(16, 50, [(name, *looks[name]) for name in series])
    xs = [x for _, curves_of, _ in panels for points in curves_of.values() for x, _ in points]
    x_marks = ticks(0, max(xs, default=1))
    for i, (label, curves_of, log) in enumerate(panels):
        ys = [y for points in curves_of.values() for _, y in points]
        box = (left + (i % columns) * (width + left), top + (i // columns) * (height + 74), width, height)
        marks = powers(max(min(ys, default=1), 0.1), max(max(ys, default=1), 0.2)) if log else ticks(0, max(ys, default=1))
        panel = Panel(drawing, box, x_marks, marks, log)
        panel.axes(label, x_unit)
        for name in series:
            if curves_of.get(name):
                dense = len(curves_of[name]) > 40
                panel.curve(curves_of[name], looks[name][0], None if dense else looks[name][1])
    drawing.write(path)


def dots(path, title, rows, legend):
    """Ratios beside their targets. rows: [(label, spread, limit, at least, held, text)]; a thick tick is the target."""
    left, right, step = 310, 260, 24
    drawing = Drawing(940, 96 + step * len(rows), title)
    drawing.text(16, 48, legend, "soft")
    top = max([max(s["high"], limit) for _, s, limit, *_ in rows] + [1])
    marks = ticks(0, min(top, 2))  # what lies beyond has its figure beside it
    scale = (drawing.width - left - right) / marks[-1]
    bottom = 64 + step * len(rows)

    def at(value):
        return left + min(value, marks[-1]) * scale
    for i, (label, *_) in enumerate(rows):
        if i % 2 == 0:
            drawing.add("rect", x=8, y=64 + step * i, width=drawing.width - 16, height=step, class_="even")
    for mark in marks:
        drawing.line(at(mark), 64, at(mark), bottom, "axis" if mark == 1 else "grid")
        drawing.text(at(mark), bottom + 16, f"{mark:g} ×", "soft small", "middle")
    for i, (label, value, limit, more, held, text) in enumerate(rows):
        y = 64 + step * i + step / 2
        look = {True: "good", False: "bad", None: "soft"}[held]
        drawing.text(left - 10, y + 4, label, anchor="end")
        drawing.line(at(limit), y - 9, at(limit), y + 9, "target")
        if more:
            drawing.text(at(limit) - 5, y + 4, "≥", "small soft", "end")
        drawing.line(at(value["low"]), y, at(value["high"]), y, "whisker")
        drawing.mark(at(value["median"]), y, "circle" if held else "diamond", class_=look, size=5)
        drawing.text(drawing.width - right + 14, y + 4, f"{value['median']:.2f} × · {text.partition(':')[0]}", look + " small")
    drawing.write(path)
