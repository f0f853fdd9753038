"""The command select: a file of features in, the chosen indices out. Needs no torch."""

import argparse
import csv
import io
import json
import sys
import time
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._utils.atomic_files import write_atomically

__all__ = ["add_arguments", "run"]

_DESCRIPTION = """\
Choose rows of a matrix of features (embeddings, one row a sample) and give their
indices, counted from 0, in ascending order. Needs neither images nor PyTorch.
"""

_EPILOG = """\
examples:
  spectral-select select features.npy                     # a fifth of the rows, printed
  spectral-select select store --out keep.npy             # what `extract` wrote
  spectral-select select data.npz --key emb --out keep.csv    # with each row's score
  spectral-select select data.parquet --columns embedding --filter-ratio 0.5
  spectral-select select store --candidate-size 128 --shuffle --out keep.txt
                               # the paper's procedure: batch by batch, in random order
"""

_SUFFIXES = (".npy", ".txt", ".csv", ".json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``spectral-select select``."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    parser.add_argument(
        "features",
        metavar="FEATURES",
        help="a .npy, .npz or .parquet file, or the folder of an embedding store",
    )
    parser.add_argument(
        "--out",
        "-o",
        metavar="FILE",
        default="-",
        help="where the indices go, by its ending: .npy, .txt (one a line), .csv (index, score), "
        ".json (with the options); by default they are printed, one a line",
    )
    parser.add_argument("--key", help="which array of an .npz file")
    parser.add_argument(
        "--columns",
        metavar="A,B,...",
        type=lambda text: text.split(","),
        help="columns of a Parquet file: numbers, or one column of lists",
    )
    how = parser.add_argument_group("how rows are chosen")
    how.add_argument(
        "--filter-ratio",
        metavar="R",
        type=float,
        default=0.8,
        help="share of the rows that is discarded, in [0, 1) (default: %(default)s)",
    )
    how.add_argument(
        "--candidate-size",
        metavar="N",
        type=int,
        help="choose within consecutive batches of N rows (default: among all rows at once)",
    )
    how.add_argument(
        "--shuffle",
        action="store_true",
        help="deal the rows into the batches at random; wanted where they are sorted by class",
    )
    how.add_argument(
        "--rule",
        choices=("extreme", "stratified"),
        default="extreme",
        help="extreme: the largest entries of the Fiedler vector, as in the paper; stratified: "
        "evenly along its order (default: %(default)s)",
    )
    how.add_argument(
        "--laplacian",
        choices=("unnormalized", "symmetric", "random_walk"),
        default="unnormalized",
        help="which Laplacian of the graph (default: %(default)s)",
    )
    how.add_argument(
        "--affinity",
        choices=("cosine", "nearest_neighbors", "precomputed"),
        default="cosine",
        help="cosine: similarities of all rows; nearest_neighbors: of nearest neighbors only; "
        "precomputed: FEATURES are the n x n similarities themselves (default: %(default)s)",
    )
    how.add_argument(
        "--n-neighbors",
        metavar="K",
        type=int,
        default=10,
        help="neighbors of each row for nearest_neighbors (default: %(default)s)",
    )
    how.add_argument(
        "--seed",
        metavar="S",
        type=int,
        help="random state of the selector and of --shuffle (default: none, and 0)",
    )


def run(args: argparse.Namespace) -> int:
    """Run ``spectral-select select``."""
    out = None if args.out == "-" else Path(args.out)
    if out is not None and out.suffix not in _SUFFIXES:
        raise ValueError(f"--out must end in one of {', '.join(_SUFFIXES)}; got {args.out!r}")
    if out is not None and not out.absolute().parent.is_dir():
        raise ValueError(f"--out {args.out}: the folder {out.absolute().parent} does not exist")
    if args.seed is not None and not 0 <= args.seed < 2**32:
        raise ValueError(f"--seed must be between 0 and 2**32 - 1; got {args.seed}")
    if args.shuffle and args.affinity == "precomputed":
        raise ValueError("--shuffle is for features; got --affinity precomputed")
    from spectral_select import FiedlerBatchSelector
    from spectral_select._features.readers import read_features
    from spectral_select._selectors.ratio import check_filter_ratio

    check_filter_ratio(args.filter_ratio, "--filter-ratio")

    selector = FiedlerBatchSelector(
        args.filter_ratio,
        candidate_size=args.candidate_size,
        rule=args.rule,
        laplacian=args.laplacian,
        affinity=args.affinity,
        n_neighbors=args.n_neighbors,
        random_state=args.seed,
    )
    X = read_features(args.features, key=args.key, columns=args.columns)
    start = time.perf_counter()
    try:
        indices, scores = _select(selector, X, args.shuffle, args.seed or 0)
    except ValueError as error:  # the user knows X by the name of its file
        message = str(error)
        if not message.startswith("X "):
            raise
        raise ValueError(args.features + message[1:]) from error
    seconds = time.perf_counter() - start
    options = {
        "features": args.features,
        "n_samples": len(X),
        "n_features": X.shape[1],
        **{k: getattr(args, k) for k in ("filter_ratio", "candidate_size", "shuffle", "rule")},
        **{k: getattr(args, k) for k in ("laplacian", "affinity", "n_neighbors", "seed")},
    }
    if out is None:
        sys.stdout.write(_lines(indices))
        return 0
    write_atomically(out, lambda file: _write(file, out.suffix, indices, scores, options))
    print(
        f"kept {len(indices)} of {len(X)} rows of {X.shape[1]} features in {seconds:.2f} s: {out}",
        file=sys.stderr,
    )
    return 0


def _select(
    selector: Any, X: NDArray[Any], shuffle: bool, seed: int
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the chosen indices, ascending, and the score of each of them."""
    order = np.random.default_rng(seed).permutation(len(X)) if shuffle else None
    try:
        selector.fit(X if order is None else X[order])
    except ValueError:
        if order is not None:
            selector.fit(X)  # where it fails too, its message has the row as the user knows it
        raise
    chosen = selector.sample_indices_
    rows = chosen if order is None else order[chosen]
    ascending = np.argsort(rows)
    return rows[ascending].astype(np.int64), selector.scores_[chosen][ascending]


def _write(
    file: IO[bytes],
    suffix: str,
    indices: NDArray[np.int64],
    scores: NDArray[Any],
    options: dict[str, Any],
) -> None:
    if suffix == ".npy":
        np.save(file, indices)
        return
    text = io.StringIO()
    if suffix == ".csv":
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["index", "score"])
        table.writerows(zip(indices.tolist(), scores.tolist(), strict=True))
    elif suffix == ".json":
        json.dump({**options, "indices": indices.tolist()}, text)
        text.write("\n")
    else:
        text.write(_lines(indices))
    file.write(text.getvalue().encode())


def _lines(indices: NDArray[np.int64]) -> str:
    return "".join(f"{i}\n" for i in indices.tolist())
