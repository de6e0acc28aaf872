"""``download``: fetch a published file, with resume and checksum, and unpack it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lcbench.commands.progress import progress_bar
from lcbench.download import PUBLISHED, fetch, unpack
from lcbench.errors import UserError

HELP = "fetch LCBench's published curves, with resume and checksum"
DESCRIPTION = """Fetch a file that LCBench's authors published; without NAME, list what there is. An interrupted download goes on where it
stood. `import` then makes a database of it."""


def add(parser: ArgumentParser) -> None:
    """Define the options."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="what to fetch; without it, a list is shown")
    parser.add_argument("--to", type=Path, default=Path(), metavar="DIR", help="where to (default: here)")
    parser.add_argument("--url", help="another address of the same file, e.g. a mirror")


def run(options: Namespace, console: Console) -> int:
    """Fetch and unpack, or list."""
    if options.name is None:
        console.print(_list())
        return 0
    if options.name not in PUBLISHED:
        raise UserError(f"`NAME` is {options.name!r}, but must be one of {', '.join(PUBLISHED)}")
    published = PUBLISHED[options.name]
    options.to.mkdir(parents=True, exist_ok=True)
    with progress_bar(console) as progress:
        archive = fetch(
            options.url or published.url,
            options.to / published.archive,
            md5=published.md5,
            progress=lambda done, total: progress(done, total or 0, published.archive),
        )
        file = unpack(archive, published.member, progress=lambda done, total: progress(done, total or 0, published.member))
    if published.md5 is None:
        console.print(Text("no checksum of this file was published, so only its size and the archive's own checksums were compared"))
    console.print(Text(f"{file}: {file.stat().st_size / 1e6:.0f} MB; make a database of it:"), soft_wrap=True)
    console.print(Text(f"python -m lcbench import {file} --to {file.with_suffix('.h5')} --licence {published.licence}"), soft_wrap=True)
    return 0


def _list() -> Table:
    shown = Table(box=None, header_style="bold")
    for name in ("name", "size", "licence", "address and source"):
        shown.add_column(name)
    for name, published in PUBLISHED.items():
        shown.add_row(name, published.size, published.licence, f"{published.url}\n{published.source}")
    return shown
