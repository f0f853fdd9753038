"""Entry point of the spectral-select command: run a subcommand and report its errors."""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from spectral_select._utils.optional_packages import how_to_install, missing_package

__all__ = ["UsageError", "main", "parse"]

_PROG = "spectral-select"

# Name of each command, its module with add_arguments(parser) and run(args) -> int, and its
# summary. A module is imported only when its command is requested; torch is imported only
# when the command runs.
_COMMANDS = {
    "extract": (
        "spectral_select.integrations.commands.extract",
        "compute the embeddings of an image dataset once and store them in a folder",
    ),
    "select": (
        "spectral_select._cli.select",
        "select rows of an embeddings file and print or write their indices",
    ),
    "inspect": (
        "spectral_select.integrations.commands.inspect",
        "find wrong labels, outliers and near-duplicates; write a table and a page",
    ),
    "train": (
        "spectral_select.integrations.commands.train",
        "train a network on selected samples, on all samples and on a random subset",
    ),
    "sweep": (
        "spectral_select.integrations.commands.sweep",
        "train for each method, seed and filter ratio listed in a file; can be resumed",
    ),
    "report": (
        "spectral_select.integrations.commands.report",
        "write a page of tables and figures from the results of train",
    ),
}

_DESCRIPTION = """\
Choose the samples that are worth a training step, using the Fiedler vector of each batch's
similarity graph.
"""

_EPILOG = """\
typical use:
  spectral-select train digits                        # a demo; needs no data
  spectral-select extract photos --out photos.store   # photos/CLASS/*.jpg -> embeddings
  spectral-select inspect photos.store --images photos --report page.html   # find problems
  spectral-select select photos.store --out keep.txt  # a fifth to train on
  spectral-select train photos --out runs/photos      # train and compare

Each command has its own help: spectral-select COMMAND --help
"""


class UsageError(Exception):
    """A usage error: the message is printed on one line and the command exits with status 2."""


class _Parser(argparse.ArgumentParser):
    """Reports a mistake on one line, without printing the whole usage."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program name; by default, those of this process.

    Returns
    -------
    int
        0 on success; 2 after a user error, which is reported on one line on stderr; 130 after
        Ctrl-C; 141 after a broken pipe. With ``--debug``, errors other than usage errors are
        raised.

    Examples
    --------
    >>> main(["--version"])
    spectral-select ...
    0
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    try:
        with warnings.catch_warnings():
            if not debug:
                warnings.showwarning = _show_warning
            if sys.stdout is None:
                raise UsageError("standard output is closed")
            status = _run(arguments)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        if debug:
            raise
        return 130
    except BrokenPipeError:
        # The rest of the buffer has no reader; flushing it at exit would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (UsageError, ValueError, TypeError, OSError, MemoryError, ImportError) as error:
        if not isinstance(error, UsageError) and (debug or not _is_told_in_a_line(error)):
            raise
        print(f"{_PROG}: error: {_one_line(error)}", file=sys.stderr)
        return 2


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of a command without running it.

    Parameters
    ----------
    arguments : sequence of str
        The command's name, followed by its arguments.

    Raises
    ------
    UsageError
        If the command does not accept the arguments.
    """
    return _parser(arguments[0]).parse_args(arguments)


def _run(arguments: list[str]) -> int:
    asked = next((word for word in arguments if not word.startswith("-")), None)
    parser = _parser(asked)
    if not arguments:
        parser.print_help(sys.stderr)
        return 2
    try:
        options = parser.parse_args(arguments)
    except SystemExit as done:  # --help and --version
        return int(done.code or 0)
    if options.command is None:
        parser.error(f"no command given; expected one of {', '.join(_COMMANDS)}")
    status: int = import_module(_COMMANDS[options.command][0]).run(options)
    return status


def _parser(asked: str | None) -> argparse.ArgumentParser:
    """Return the parser; arguments are added only for the command `asked`."""
    from spectral_select import __version__

    parser = _Parser(
        prog=_PROG,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{_PROG} {__version__}")
    _add_debug(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, (module, summary) in _COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        _add_debug(command)
        if name == asked:
            import_module(module).add_arguments(command)
    return parser


def _add_debug(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show the full traceback of an error",
    )


def _is_told_in_a_line(error: BaseException) -> bool:
    """Return whether one line explains the error; a missing required module needs a traceback."""
    return not isinstance(error, ImportError) or missing_package(error) is not None


def _one_line(error: BaseException) -> str:
    if package := missing_package(error):
        return f"this {how_to_install(package)}"
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError) and not str(error):
        return "out of memory"
    text = str(error)
    if text.startswith("Caught ") and "\n" in text:  # an error in a data-loader worker
        text = text.rstrip().rpartition("\n")[2].partition(": ")[2] or text
    return " ".join(text.split()) or type(error).__name__


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    print(f"{_PROG}: warning: {' '.join(str(message).split())}", file=sys.stderr)
