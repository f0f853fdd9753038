"""The report command: write a page and figures from folders of results."""

import argparse
import webbrowser
from pathlib import Path

__all__ = ["add_arguments", "run"]

_DESCRIPTION = """\
Write a page about one or more runs of train: accuracy with confidence intervals over the
seeds, the numbers published in the SALN paper, costs, curves, selected samples and weights.
Runs with the same configuration and data are pooled over their seeds; each configuration
gets its own section. The page, report.html, is self-contained. The figures are also written
as files to the folder figures/ next to it.
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
        "runs", metavar="RUN", nargs="+", help="a folder with the results.json that train writes"
    )
    parser.add_argument(
        "--out",
        "-o",
        metavar="FOLDER",
        help="folder for the report (default: RUN/report for a single run, otherwise report)",
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")


def run(args: argparse.Namespace) -> int:
    """Run ``spectral-select report``."""
    from spectral_select.integrations.report.page import FIGURES, write_report

    page = write_report(args.runs, _folder(args))
    print(f"{page}: the report, a self-contained page")
    print(f"{page.parent / FIGURES}: its figures")
    if args.open and not webbrowser.open(page.resolve().as_uri()):
        print("could not find a browser; open the page yourself")
    return 0


def _folder(args: argparse.Namespace) -> Path:
    if args.out is not None:
        return Path(args.out)
    if len(args.runs) > 1:
        return Path("report")
    single = Path(args.runs[0])
    return (single if single.is_dir() else single.parent) / "report"
