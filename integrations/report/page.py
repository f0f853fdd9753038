"""The page: HTML with everything in it, asking nothing of any network."""

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

from spectral_select.integrations.report.figures.drawing import Picture
from spectral_select.integrations.report.style import STYLE
from spectral_select.integrations.report.tables import Cell, Table

__all__ = ["Part", "build_page"]

# The browser itself is told to load nothing from anywhere.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_SAID = {"above": "above, ", "below": "below, "}


@dataclass
class Part:
    """A part of the page under a heading.

    Attributes
    ----------
    title : str
        The heading.
    anchor : str
        Where links lead.
    blocks : list of str
        HTML.
    short : str
        Its name in lists of links; empty to be in none.
    parts : list of Part
        Parts of it.
    """

    title: str
    anchor: str
    blocks: list[str] = field(default_factory=list)
    short: str = ""
    parts: list["Part"] = field(default_factory=list)

    def say(self, *texts: str) -> None:
        """Append paragraphs of plain text."""
        self.blocks += [f"<p>{escape(text)}</p>" for text in texts]

    def warn(self, texts: Sequence[str]) -> None:
        """Append a box of what a reader must not miss; nothing if there is nothing."""
        if texts:
            inner = "".join(f"<p>{escape(text)}</p>" for text in texts)
            self.blocks.append(f'<div class="note" role="note">{inner}</div>')

    def list(self, texts: Sequence[str]) -> None:
        """Append a list of plain texts."""
        items = "".join(f"<li>{escape(text)}</li>" for text in texts)
        self.blocks.append(f"<ul>{items}</ul>")

    def show(self, pictures: Iterable[Picture]) -> None:
        """Append pictures, two beside each other where there is room."""
        figures = "".join(_figure(picture) for picture in pictures)
        self.blocks.append(f'<div class="pair">{figures}</div>')

    def tabulate(self, *tables: Table) -> None:
        """Append tables, two beside each other where there is room unless they are wide."""
        inner = "".join(_table(table) for table in tables)
        wide = any(table.wide for table in tables)
        self.blocks.append(inner if wide else f'<div class="pair">{inner}</div>')

    def state(self, facts: Sequence[tuple[str, str]], caption: str) -> None:
        """Append a table of names and texts."""
        rows = "".join(
            f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>'
            for name, text in facts
        )
        self.blocks.append(
            f'<div class="facts"><table><caption>{escape(caption)}</caption>'
            f"<tbody>{rows}</tbody></table></div>"
        )


def build_page(title: str, lead: str, parts: Sequence[Part]) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    title, lead : str
        Heading and the sentence below it.
    parts : sequence of Part
        What it has.

    Returns
    -------
    str
    """
    links = "".join(
        f'<li><a href="#{escape(p.anchor)}">{escape(p.short)}</a></li>'
        for part in parts
        for p in (part, *part.parts)
        if p.short
    )
    body = "\n".join(_part(part, 2) for part in parts)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="generator" content="spectral-select report">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the results</a>
<header>
<h1>{escape(title)}</h1>
<p class="lead">{escape(lead)}</p>
<nav aria-label="Contents"><ul>{links}</ul></nav>
</header>
<main id="content">
{body}
</main>
<footer><p>Written by spectral-select report. The pictures are also in the folder
<code>figures</code> beside this page.</p></footer>
</body>
</html>
"""


def _part(part: Part, level: int) -> str:
    inner = "\n".join([*part.blocks, *(_part(p, level + 1) for p in part.parts)])
    anchor = escape(part.anchor)
    return (
        f'<section aria-labeledby="{anchor}">\n<h{level} id="{anchor}">{escape(part.title)}'
        f"</h{level}>\n{inner}\n</section>"
    )


def _figure(picture: Picture) -> str:
    kind, data = ("png", picture.png) if picture.inline is None else ("jpeg", picture.inline)
    return (
        f'<figure><img alt="{escape(picture.alt)}" loading="lazy" '
        f'src="data:image/{kind};base64,{b64encode(data).decode()}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    groups = ""
    if table.groups:
        cells = "".join(
            f'<th colspan="{span}" scope="colgroup">{escape(name)}</th>' if name else "<td></td>"
            for name, span in table.groups
        )
        groups = f'<tr class="groups">{cells}</tr>'
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.head)
    rows = "".join(
        f'<tr><th scope="row">{_breakable(name)}{_remark(remark)}</th>'
        f"{''.join(_cell(cell) for cell in cells)}</tr>"
        for name, remark, cells in table.rows
    )
    inner = (
        f"<table><caption><span>{escape(table.caption)}</span></caption>"
        f"<thead>{groups}<tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )
    if not table.wide:
        return f'<div class="scroll">{inner}</div>'
    # Only what scrolls needs to be reached by the keyboard.
    label = escape(table.caption)
    return f'<div class="scroll wide" role="region" tabindex="0" aria-label="{label}">{inner}</div>'


def _breakable(name: str) -> str:
    """Return a method's name, broken where its options begin if it has to be."""
    return re.sub("([:,])", r"\1<wbr>", escape(name))


def _remark(text: str) -> str:
    return f"<small>{escape(text)}</small>" if text else ""


def _cell(cell: Cell) -> str:
    value, _, spread = cell.text.partition(" ± ")
    inner = f"<span>{escape(value)}</span>"
    if spread:
        inner += f' <span class="pm">± {escape(spread)}</span>'
    if cell.kind in _SAID:
        arrow = "▲" if cell.kind == "above" else "▼"
        said = f'<span class="hidden">{_SAID[cell.kind]}</span>'
        inner = f'<span aria-hidden="true">{arrow}</span> {said}{inner}'
    kind = f' class="{cell.kind}"' if cell.kind else ""
    return f"<td{kind}>{inner}</td>"
