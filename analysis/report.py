"""The page of a study, as HTML and as Markdown: the quality table, every figure with words on how to read it, and what all rests on."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis import quality
from analysis.options import AXES, Options
from analysis.render import footer
from analysis.study import Study
from lcbench.files import replacing

CSS = (
    "body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "h1,h2{line-height:1.2}h2{margin-top:2.5rem}img{max-width:100%;height:auto}p{max-width:46rem}"
    "table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}"
    "th,td{padding:.25rem .7rem;text-align:right;border-bottom:1px solid #e6e6e6}th:first-child,td:first-child{text-align:left}"
    ".facts{color:#767676;font-size:12px}"
)


@dataclass(frozen=True)
class Section:
    """A part of the page: a heading, and below it words, a table or a picture."""

    heading: str
    text: str
    table: pd.DataFrame | None = None
    picture: str | None = None
    """File name of a PNG beside the page; the table that it draws lies beside it as CSV."""


def sections(study: Study, options: Options, figures: Sequence[tuple[str, str, str]]) -> list[Section]:
    """All of the page but its title; figures are (title, caption, file name of the PNG)."""
    ranked = quality.wide(quality.table(study, options), options)
    about = (
        f"Average ranks among the {len(study.optimizers)} optimizers at shares of the budget ({AXES[options.axis]}), with "
        f"{options.level:.0%} bands over seeds; 1 is best. " + quality.power_statement(study, options)
    )
    constants = study.constants.map("{:.4g}".format).to_frame().join(study.n_configurations).dropna(axis=1).reset_index()
    said = (
        "Regrets are divided by these constants to be compared across tasks: the median regret of the first incumbents of "
        f"{study.reference}. Regret is the incumbent's validation loss minus the smallest of the table, or the smallest that a surrogate "
        "expects."
    )
    pictures = [Section(title, caption, picture=name) for title, caption, name in figures]
    return [Section("Quality", about, ranked), *pictures, Section("Constants", said, constants)]


def write(study: Study, options: Options, figures: Sequence[tuple[str, str, str]], folder: Path) -> Path:
    """Write report.html and report.md into a folder, beside the pictures; returns the path of the first."""
    parts, facts = sections(study, options, figures), " · ".join(footer(study, options))
    for name, text in (("report.html", as_html(study.name, facts, parts)), ("report.md", as_markdown(study.name, facts, parts))):
        with replacing(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return folder / "report.html"


def as_markdown(name: str, facts: str, parts: Iterable[Section]) -> str:
    """The page in Markdown."""
    lines = [f"# {name}", "", facts, ""]
    for part in parts:
        lines += [f"## {part.heading}", ""]
        if part.picture:
            lines += [f"![{part.heading}]({part.picture})", ""]
        lines += [part.text, ""]
        if part.table is not None:
            lines += [markdown_table(part.table), ""]
        if part.picture:
            lines += [f"[Numbers]({_numbers(part.picture)})", ""]
    return "\n".join(lines)


def as_html(name: str, facts: str, parts: Iterable[Section]) -> str:
    """The page in HTML, without a script or anything from elsewhere."""
    lines = [
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(name)}</title><style>{CSS}</style></head><body>',
        f'<h1>{html.escape(name)}</h1>\n<p class="facts">{html.escape(facts)}</p>',
    ]
    for part in parts:
        lines.append(f"<h2>{html.escape(part.heading)}</h2>")
        if part.picture:
            lines.append(f'<img src="{html.escape(part.picture)}" alt="{html.escape(part.heading)}">')
        lines.append(f"<p>{html.escape(part.text)}</p>")
        if part.table is not None:
            lines.append(part.table.to_html(index=False, border=0))
        if part.picture:
            lines.append(f'<p class="facts"><a href="{html.escape(_numbers(part.picture))}">numbers</a></p>')
    return "\n".join([*lines, "</body></html>\n"])


def markdown_table(table: pd.DataFrame) -> str:
    """A table in Markdown, numbers as they are."""
    rows = [list(map(str, table.columns)), ["---"] + ["---:"] * (table.shape[1] - 1), *(list(map(str, row)) for row in table.to_numpy())]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows)


def _numbers(picture: str) -> str:
    return picture.removesuffix(".png") + ".csv"
