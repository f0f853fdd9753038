"""Create a dataset of texts that needs no download: docstrings, labeled by their subpackage.

    python benchmarks/make_texts.py texts
    spectral-select extract texts --split train --backbone tfidf --label-column topic --out train
    spectral-select extract texts --split test --backbone tfidf --label-column topic --out test

The docstrings are those of the installed scikit-learn and SciPy. The script writes train.jsonl and
test.jsonl.
"""

import argparse
import ast
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import scipy
import sklearn

SHORTEST, LONGEST = 120, 800  # characters; longer docstrings are truncated
FEWEST = 60  # minimum number of docstrings in a subpackage


def main(argv: Sequence[str] | None = None) -> int:
    """Write the two files."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="\n".join(__doc__.splitlines()[2:]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="folder to write; must not exist")
    folder = parser.parse_args(argv).folder
    rows = [
        {"text": text, "topic": f"{package.__name__}.{part.name}"}
        for package in (scipy, sklearn)
        for part in sorted(Path(package.__file__).parent.iterdir())
        if part.is_dir() and len(texts := sorted({*docstrings(part)})) >= FEWEST
        for text in texts
    ]
    order = np.random.default_rng(0).permutation(len(rows))
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2
    n_test = len(rows) // 3
    for name, part in (("test", order[:n_test]), ("train", order[n_test:])):
        lines = "".join(json.dumps(rows[i]) + "\n" for i in part)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    print(f"{folder}: {len(rows)} texts in {len({row['topic'] for row in rows})} topics")
    return 0


def docstrings(folder: Path) -> Iterator[str]:
    """Yield the docstrings of modules, classes and functions in a folder, on one line each."""
    for file in sorted(folder.rglob("*.py")):
        if "tests" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = " ".join((ast.get_docstring(node) or "").split())
                if len(text) >= SHORTEST:
                    yield text[:LONGEST]


if __name__ == "__main__":
    raise SystemExit(main())
