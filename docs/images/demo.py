#!/usr/bin/env python3
"""Records the demo at a pseudo-terminal and writes it as an animated picture, demo.svg.

    cargo build --release && python3 docs/images/demo.py [--program PATH] [--text]

It needs Python alone. The story is STORY below; a frame is taken every second and shown for half of
one. Blocks are drawn as shapes, so that they fit together in any font. --text prints the frames.
"""

import argparse
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from html import escape

COLUMNS, ROWS = 80, 24
WARM_UP = 20.0  # Seconds before the first frame: the chart has something to show.
EVERY = 1.0  # Seconds between frames,
SHOWN = 0.5  # and how long each of them is shown.
STORY = [  # Second, key, what is said from then on.
    (0, None, "three backends of different speed, 48 clients, least-connections"),
    (4, "1", "the fastest one sleeps: others do its work, nobody sees an error"),
    (11, "1", "it wakes up, and is back after two good probes"),
    (19, "a", "least-time: who would answer soonest gets the next request"),
    (24, "a", "round-robin: everybody the same, and the slow one cannot do so much"),
    (36, "a", "least-connections again: p99 comes down by itself"),
]
END = 46
CUTS = {  # Where what stands in a row changes at another pace than what is left of it.
    0: [70],
    2: [21, 27, 40, 45, 57, 64, 72],
    **{row: [15] for row in range(3, 8)},
    **{row: [11, 23, 43] for row in (10, 13, 16)},
    **{row: [23] for row in (11, 14, 17)},
}
STILL = 34  # The frame for who wants no motion.

WIDTH, HEIGHT, LEFT, TOP = 9, 20, 14, 44  # Of a character, and where the first one is.
INKS = {36: "g", 214: "w", 202: "r", 74: "c", 175: "t"}
BLOCKS = " ▁▂▃▄▅▆▇█"
PARTS = " ▏▎▍▌▋▊▉█"


class Glass:
    """What stands on the screen: of each cell a character and its style."""

    def __init__(self):
        self.cells = [[(" ", "")] * COLUMNS for _ in range(ROWS)]
        self.row = self.column = 0
        self.style = ""

    def feed(self, text):
        for part in re.findall(r"\x1b\[[^A-Za-z]*[A-Za-z]|.", text, re.S):
            if part[0] != "\x1b":
                if self.row < ROWS and self.column < COLUMNS:
                    self.cells[self.row][self.column] = (part, self.style)
                self.column += 1
            elif part[-1] == "H":
                self.row, self.column = (int(it) - 1 for it in part[2:-1].split(";"))
            elif part[-1] == "K":
                self.cells[self.row][self.column :] = [(" ", "")] * (COLUMNS - self.column)
            elif part[-1] == "m":
                self.style = style(part[2:-1])

    def frame(self):
        return [list(row) for row in self.cells]


def style(codes):
    """The classes of an SGR sequence: b bold, f faint, v reversed, or a colour."""
    found = re.search(r"38;5;(\d+)", codes)
    rest = re.sub(r"38;5;\d+", "", codes).split(";")
    classes = [{"1": "b", "2": "f", "7": "v"}.get(it, "") for it in rest]
    classes.append(INKS.get(int(found[1]), "") if found else "")
    return " ".join(sorted(it for it in classes if it))


def record(program):
    """The frames of the story, each a list of rows of cells."""
    child, screen = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm-256color", LANG="C.UTF-8", LC_ALL="C.UTF-8")
        os.environ.pop("NO_COLOR", None)
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.execv(program, [program, "--demo"])
    glass, frames, told = Glass(), [], b""
    keys = [(at, key) for at, key, _ in STORY if key]
    start = time.monotonic() + WARM_UP
    try:
        while len(frames) < END / EVERY:
            now = time.monotonic() - start
            if keys and now >= keys[0][0]:
                os.write(screen, keys.pop(0)[1].encode())
            if now >= len(frames) * EVERY:
                frames.append(glass.frame())
            if not select.select([screen], [], [], 0.02)[0]:
                continue
            told += os.read(screen, 65536)
            # What is before the screen was taken, and a frame that is not whole yet, are not drawn.
            _, taken, rest = told.partition(b"\x1b[?1049h")
            told = rest if taken else told
            end = told.rfind(b"\x1b[?2026l")
            if taken or glass.row or end >= 0:
                glass.feed(told[: max(end, 0)].decode())
                told = told[max(end, 0) :]
    finally:
        os.kill(child, signal.SIGTERM)
        while select.select([screen], [], [], 2)[0]:
            try:
                if not os.read(screen, 65536):
                    break
            except OSError:
                break
        os.waitpid(child, 0)
    return frames


def runs(row):
    """Pieces of a row that look the same: column, text, classes."""
    found = []
    for column, (char, classes) in enumerate(row):
        kind = "line" if char == "│" else char in BLOCKS[1:] or char in PARTS[1:]
        if found and found[-1][2:] == [classes, kind] or found and char == " " and not (
            "v" in classes or "v" in found[-1][2]
        ):
            found[-1][1] += char
        else:
            found.append([column, char, classes, kind])
    return found


def bar(text):
    """One from the left, a little lower than its row."""
    eighths = sum(PARTS.find(it) for it in text)
    return f"M0 3h{eighths * WIDTH / 8:g}v{HEIGHT - 6}H0z"


def chart(text):
    """Columns as one path: only where the height changes there is a corner."""
    path, last = [], 0
    heights = [max(BLOCKS.find(it), 0) * HEIGHT / 8 for it in text]
    for index, height in enumerate(heights):
        if height != last:
            path.append(f"H{index * WIDTH}V{HEIGHT - height:g}")
            last = height
    path.append(f"H{len(text) * WIDTH}V{HEIGHT}z")
    return f"M0 {HEIGHT}" + "".join(path)


def draw_row(row, y):
    out = []
    for column, text, classes, kind in runs(row):
        x = column * WIDTH
        name = f' class="{classes}"' if classes else ""
        if "v" in classes:
            out.append(f'<path class="k" d="M{x} {y}h{len(text) * WIDTH}v{HEIGHT}H{x}z"/>')
        if not text.strip():
            continue
        text = text.rstrip()
        if kind == "line":
            out.append(f'<path class="l" d="M{x + 4} {y}h1v{HEIGHT}h-1z"/>')
        elif kind:
            d = bar(text) if classes == "c" else chart(text)
            out.append(f'<path{name} transform="translate({x} {y})" d="{d}"/>')
        else:
            skip = len(text) - len(text.lstrip())
            text, x = text.strip(), x + skip * WIDTH
            length = f' textLength="{len(text) * WIDTH}"' if len(text) > 1 else ""
            out.append(f'<text{name} x="{x}" y="{y + 15}"{length}>{escape(text)}</text>')
    return "".join(out)


def film(name, versions, left, top, width):
    """The versions of a part of a row below each other, and the keyframes that show one at a time.

    `versions` is what to show in each frame; what is the same as before is not drawn again.
    """
    drawn, places, steps = [], {}, []
    for number, version in enumerate(versions):
        place = places.setdefault(version, len(places))
        if place == len(drawn):
            drawn.append(version)
        if not steps or steps[-1][1] != place:
            steps.append((number, place))
    bodies = "".join(draw(index * HEIGHT) for index, draw in enumerate(drawn))
    svg = f'<svg x="{left}" y="{top}" width="{width}" height="{HEIGHT}">'
    if not bodies:
        return "", ""
    if len(steps) == 1:
        return f"{svg}{bodies}</svg>\n", ""
    percent = lambda number: f"{number * 100 / len(versions):.1f}".rstrip("0").rstrip(".")
    frames = "".join(
        f"{percent(number)}%{{translate:0 {-place * HEIGHT}px}}"
        for number, place in steps
    )
    still = -places[versions[STILL]] * HEIGHT
    css = f"@keyframes {name}{{{frames}}}"
    css += f"#{name}{{animation-name:{name};translate:0 {still}px}}\n"
    return f'{svg}<g class="m" id="{name}">{bodies}</g></svg>\n', css


class Cells:
    """Part of a row as something to draw that is equal if it looks the same."""

    def __init__(self, cells):
        self.cells = cells

    def __hash__(self):
        return hash(tuple(self.cells))

    def __eq__(self, other):
        return self.cells == other.cells

    def __call__(self, y):
        return draw_row(self.cells, y)


class Caption:
    """What is said below the screen, with the key that was pressed."""

    def __init__(self, key, text):
        self.key, self.text = key, text

    def __hash__(self):
        return hash((self.key, self.text))

    def __eq__(self, other):
        return (self.key, self.text) == (other.key, other.text)

    def __call__(self, y):
        out, x = "", 9
        if self.key:
            out = f'<rect class="y" x="9" y="{y + 1}" width="24" height="18" rx="4"/>'
            out += f'<text class="b" x="16" y="{y + 15}">{self.key}</text>'
            x = 44
        return f'{out}<text class="c" x="{x}" y="{y + 15}">{escape(self.text)}</text>'


STYLE = """
text{font:15px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d7dde4;
white-space:pre}
path{fill:#d7dde4}.k,.l{fill:#242c37}.l{fill:#4b5563}
.b{font-weight:700}text.f,text.f.v{fill:#8b96a3}path.f{fill:#54657a}
text.g,path.g{fill:#2bb68c}text.w,path.w{fill:#f0a92b}text.r,path.r{fill:#ee6b2f}
text.c,path.c{fill:#5fb4ea}text.t,path.t{fill:#d68bb5}.y{fill:#2d3845;stroke:#5fb4ea}
"""


def caption_at(second):
    return [Caption(key, text) for at, key, text in STORY if at <= second][-1]


def write(frames, path):
    bodies, css = [], []
    films, places = [], []
    for row in range(ROWS):
        cuts = [0, *CUTS.get(row, []), COLUMNS]
        for start, end in zip(cuts, cuts[1:]):
            films.append([Cells(frame[row][start:end]) for frame in frames])
            places.append((LEFT + start * WIDTH, TOP + row * HEIGHT, (end - start) * WIDTH))
    bottom = TOP + ROWS * HEIGHT + 14
    films.append([caption_at(number * EVERY) for number in range(len(frames))])
    places.append((LEFT, bottom, COLUMNS * WIDTH))
    for number, versions in enumerate(films):
        body, keyframes = film(f"r{number}", versions, *places[number])
        bodies.append(body)
        css.append(keyframes)
    width, height = COLUMNS * WIDTH + 2 * LEFT, bottom + HEIGHT + 12
    line = bottom - 8
    lasts = len(frames) * SHOWN
    motion = f".m{{animation:{lasts:g}s step-end infinite}}"
    calm = "@media(prefers-reduced-motion:reduce){.m{animation:none}}"
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img">\n'
            "<title>pointsman --demo: a backend sleeps, round-robin hurts p99, "
            "least-connections saves it</title>\n"
            f"<style>{STYLE}{motion}\n{''.join(css)}{calm}\n</style>\n"
            f'<rect width="{width}" height="{height}" rx="10" fill="#11161d"/>\n'
            '<circle cx="20" cy="20" r="6" fill="#ee6b2f"/><circle cx="40" cy="20" r="6" '
            'fill="#f0a92b"/><circle cx="60" cy="20" r="6" fill="#2bb68c"/>\n'
            '<text class="f" x="84" y="25">cargo run --release -- --demo</text>\n'
            f'<path class="l" d="M0 {line}h{width}v1H0z"/>\n'
            f"{''.join(bodies)}</svg>\n"
        )


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    usual = os.path.join(here, "../../target/release/pointsman")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", default=usual)
    parser.add_argument("--text", action="store_true", help="print the frames, too")
    options = parser.parse_args()
    frames = record(os.path.abspath(options.program))
    if options.text:
        for number, frame in enumerate(frames):
            print(f"--- {number * EVERY:g} s")
            print("\n".join("".join(it[0] for it in row).rstrip() for row in frame))
    path = os.path.join(here, "demo.svg")
    write(frames, path)
    print(f"{path}: {len(frames)} frames, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()
