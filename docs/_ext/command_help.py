"""``.. command-help:: [COMMAND]``: the output of ``--help``."""

import contextlib
import io
import os
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from spectral_select._cli.main import main


class CommandHelp(SphinxDirective):
    """Show the help text of the program, or of one sub-command."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the help as a literal block."""
        self.env.note_reread()  # the help may have changed, although the page has not
        return [help_of(*self.arguments)]


def help_of(*command: str) -> nodes.literal_block:
    """Return the help text of the program, or of a sub-command, as a literal block."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "79"  # argparse wraps to the terminal width
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
    """Register the directive."""
    app.add_directive("command-help", CommandHelp)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
