"""Renews the pictures in this folder: `python docs/images/record.py`, with Docker running and the image of examples/shop built.

Runs real commands against a kind cluster of its own, each under a terminal of 100 columns, and draws what stands on that
terminal in the end as SVG. Nothing is edited afterwards. Takes about two minutes.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pyte
from pyte.screens import Char
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import MONOKAI
from rich.text import Text

HERE = Path(__file__).resolve().parent
COLUMNS, ROWS = 100, 45
TIMEOUT = 300.0
QUESTION = b"[y/N]: "

SPEC = """\
apiVersion: portable/v1
kind: App
metadata: {name: shop}
cluster: {name: recording}
workloads:
  web:
    containers:
      web:
        image: shop/app:1.0
        args: [web]
        variables:
          API_URL: http://api:8080
          UPLOADS_URL: http://uploads:8080
        readinessProbe: {httpGet: {path: /readyz, port: 8080}}
    service:
      ports:
        http: {port: 80, targetPort: 8080}
    routes:
      shop: {host: shop.localhost}
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec = folder / "portable.yaml"
        try:
            spec.write_text(SPEC)
            draw("up", folder, "portable up --cloud kind")
            spec.write_text(SPEC.replace("http://api:8080", "http://api:9090"))
            draw("plan", folder, "portable plan --cloud kind")
            spec.write_text(SPEC.replace("UPLOADS_URL", "UPLOAD_URL"))
            draw("failure", folder, "portable up --cloud kind --yes")
        finally:
            run("portable destroy --cloud kind --yes --destroy-data", folder)


def draw(name: str, folder: Path, command: str) -> None:
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text("$ ", "bold green").append(command, "bold white"))
    for line in run(command, folder):
        console.print(line, no_wrap=True, crop=True)
    # rich's own template loads a font from elsewhere; a picture should need nothing but itself
    svg = console.export_svg(title="portable", theme=MONOKAI, font_aspect_ratio=0.61, unique_id=name)
    (HERE / f"{name}.svg").write_text(without_fonts(svg) + "\n")
    print(f"wrote {name}.svg", flush=True)


def without_fonts(svg: str) -> str:
    while (start := svg.find("@font-face")) >= 0:
        svg = svg[:start] + svg[svg.index("}", start) + 1 :]
    return svg.replace("Fira Code", "Menlo, Consolas, DejaVu Sans Mono")


def run(command: str, folder: Path) -> Iterator[Text]:
    """The lines that stand on the terminal when the command has ended; a question is answered with yes."""
    screen = pyte.HistoryScreen(COLUMNS, ROWS, history=1000, ratio=1)
    stream = pyte.ByteStream(screen)
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        bin_folder = str(Path(sys.executable).parent)
        own = {"PORTABLE_STATE": str(folder / "state"), "PORTABLE_DATA": str(folder / "data"), "TERM": "xterm-256color"}
        path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
        passed = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "CI", "COLUMNS", "LINES")}
        os.execvpe("sh", ["sh", "-c", command], {**passed, **own, "PATH": path})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    for chunk in output(terminal):
        stream.feed(chunk)
        if chunk.endswith(QUESTION):
            os.write(terminal, b"y\n")
    os.waitpid(child, 0)
    rows = [*screen.history.top, *(screen.buffer[row] for row in range(ROWS))]
    lines = [text([row[column] for column in range(COLUMNS)]) for row in rows]
    while lines and not lines[-1].plain:
        lines.pop()
    return iter(lines)


def output(terminal: int) -> Iterator[bytes]:
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 1.0)[0]:
            continue
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # how Linux says that the other side is closed
            return
        if not chunk:
            return
        yield chunk
    raise SystemExit(f"the command did not end within {TIMEOUT:.0f} s")


def text(row: list[Char]) -> Text:
    line = Text()
    for char in row:
        line.append(char.data, style(char))
    line.rstrip()
    return line


def style(char: Char) -> Style:
    """pyte knows no faint text: what portable prints so comes out in the ordinary colour."""
    named = {"brown": "yellow", "default": None}
    color = named.get(char.fg, char.fg)
    color = f"#{color}" if color and len(color) == 6 and all(digit in "0123456789abcdef" for digit in color) else color
    return Style(color=color, bold=char.bold, underline=char.underscore)


if __name__ == "__main__":
    main()
