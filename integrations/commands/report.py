"""The command report: a page and pictures from folders of results."""

import argparse
import webbrowser
from pathlib import Path

__all__ = ["add_arguments", "run"]

_DESCRIPTION = """\
Write a page on one or more runs of train: tables with intervals over the seeds beside
the SALN paper's printed figures, costs, curves, accuracy against wall-clock, what was
chosen, weights. Runs of the same configuration and data are pooled over their seeds;
others stand in sections of their own. The page, report.html, has everything in it; the
pictures are in the folder figures beside it too.
"""

_EPILOG = """\
examples:
  spectral-select report runs/demo                          # into runs/demo/report
  spectral-select report runs/seed0 runs/seed1 --out pooled --open
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``spectral-select report``."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="a folder with results.json, as train writes it"
    )
    parser.add_argument(
        "--out",
        "-o",
        metavar="FOLDER",
        help="folder for the report (default: report in the folder of a single run, else report)",
    )
    parser.add_argument("--open", action="store_true", help="show the page in the browser")


def run(args: argparse.Namespace) -> int:
    """Run ``spectral-select report``."""
    from spectral_select.integrations.report.page import FIGURES, write_report

    page = write_report(args.runs, _folder(args))
    print(f"{page}: the report, everything in one file")
    print(f"{page.parent / FIGURES}: its pictures")
    if args.open and not webbrowser.open(page.resolve().as_uri()):
        print("no browser was found; open the page yourself")
    return 0


def _folder(args: argparse.Namespace) -> Path:
    if args.out is not None:
        return Path(args.out)
    if len(args.runs) > 1:
        return Path("report")
    single = Path(args.runs[0])
    return (single if single.is_dir() else single.parent) / "report"
