"""``.. command-help::`` and ``.. every-command::``: the output of ``--help``."""

import contextlib
import io
import os
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from spectral_select._cli.main import _COMMANDS, main


class CommandHelp(SphinxDirective):
    """Show the help text of the program, or of one sub-command."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the help as a literal block."""
        return [help_of(*self.arguments)]


class EveryCommand(SphinxDirective):
    """Show the help text of each sub-command in a separate section."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        lines = []
        for name in _COMMANDS:
            lines += [name, "-" * len(name), "", f".. command-help:: {name}", ""]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def help_of(*command: str) -> nodes.literal_block:
    """Return the help text of the program, or of a sub-command, as a literal block."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "88"  # argparse wraps to the terminal width
    try:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            main([*command, "--help"])
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    text = out.getvalue().rstrip()
    return nodes.literal_block(text, text, language="text")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("command-help", CommandHelp)
    app.add_directive("every-command", EveryCommand)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
