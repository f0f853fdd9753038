"""The command select: read a feature file and write the selected rows, without torch."""

import argparse
import json
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from spectral_select._cli.feature_arguments import add_feature_arguments
from spectral_select._cli.parquet_arguments import (
    add_parquet_arguments,
    check_parquet_arguments,
    engine_arguments,
    report_skipped,
    show_progress,
)
from spectral_select._features.row_names import RowNames
from spectral_select._utils.atomic_files import write_atomically
from spectral_select._utils.table_files import TABLE_SUFFIXES, write_table
from spectral_select._utils.widened_rows import WidenedRows, map_beneath

__all__ = ["add_arguments", "run"]

_DESCRIPTION = """\
Select rows of a feature matrix (embeddings, one row per sample) and print or write their indices,
counted from 0, in ascending order. For a store written by extract, print or write the image
paths. Needs neither images nor PyTorch.
"""

_EPILOG = """\
examples:
  spectral-select select features.npy                     # print a fifth of the rows
  spectral-select select store --method guided --out keep.txt   # by label trust
  spectral-select select store --out keep.txt         # image paths, one per line
  spectral-select select store --out keep.csv         # index, path, label and score
  spectral-select select data.npz --key emb --out keep.csv    # with the score of each row
  spectral-select select data.parquet --columns embedding --filter-ratio 0.5
  spectral-select select store --candidate-size 128 --shuffle --out keep.txt
                               # the paper's procedure: batch by batch, shuffled
"""

_SUFFIXES = (".npy", ".txt", ".csv", ".json", ".parquet")
_OF_METHOD = {
    "fiedler": ("rule", "laplacian", "affinity", "n_neighbors"),
    "guided": ("labels", "hardness_power", "trust_power", "duplicate_power"),
}
_DEFAULTS = {
    "rule": "extreme",
    "laplacian": "unnormalized",
    "affinity": "cosine",
    "n_neighbors": 10,
    "labels": None,
    "hardness_power": 0.25,
    "trust_power": 2.0,
    "duplicate_power": 1.0,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``spectral-select select``."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    add_feature_arguments(parser)
    add_parquet_arguments(parser)
    parser.add_argument(
        "--out",
        "-o",
        metavar="FILE",
        default="-",
        help="output file; its extension sets the format: .npy, .txt (one index per line), .csv or "
        ".parquet (index and score), .json (with the options). By default, indices are printed, "
        "one per line. For a store with paths, .txt and the printed lines hold paths; .csv, .json "
        "and .parquet hold both",
    )
    selection = parser.add_argument_group("selection")
    selection.add_argument(
        "--method",
        choices=tuple(_OF_METHOD),
        default="fiedler",
        help="fiedler: by the Fiedler vector, as in the paper; guided: rows whose label is "
        "probably correct but hard to predict; needs labels (default: %(default)s)",
    )
    selection.add_argument(
        "--filter-ratio",
        metavar="R",
        type=float,
        default=0.8,
        help="share of rows to discard, in [0, 1) (default: %(default)s)",
    )
    selection.add_argument(
        "--candidate-size",
        metavar="N",
        type=int,
        help="select within consecutive batches of N rows (default: among all rows)",
    )
    selection.add_argument(
        "--shuffle",
        action="store_true",
        help="assign rows to batches at random; useful if the rows are sorted by class",
    )
    selection.add_argument(
        "--seed", metavar="S", type=int, help="seed for the selection and for --shuffle"
    )
    _add_fiedler_arguments(parser.add_argument_group("--method fiedler"))
    _add_guided_arguments(parser.add_argument_group("--method guided"))


def _add_fiedler_arguments(group: Any) -> None:
    group.add_argument(
        "--rule",
        choices=("extreme", "stratified"),
        help="extreme: the largest entries of the Fiedler vector, as in the paper; stratified: "
        "evenly spaced along its sorted order (default: extreme)",
    )
    group.add_argument(
        "--laplacian",
        choices=("unnormalized", "symmetric", "random_walk"),
        help="graph Laplacian (default: unnormalized)",
    )
    group.add_argument(
        "--affinity",
        choices=("cosine", "nearest_neighbors", "precomputed"),
        help="cosine: similarities between all rows; nearest_neighbors: between nearest neighbors "
        "only; precomputed: FEATURES is the n x n similarity matrix (default: cosine)",
    )
    group.add_argument(
        "--n-neighbors",
        metavar="K",
        type=int,
        help="number of neighbors per row for nearest_neighbors (default: 10)",
    )


def _add_guided_arguments(group: Any) -> None:
    group.add_argument(
        "--labels",
        metavar="NAME",
        help="array in the .npz file, column in the Parquet or CSV file, or a .npy file (default: "
        "the labels in the store)",
    )
    group.add_argument(
        "--hardness-power",
        metavar="A",
        type=float,
        help="power of the hardness; 0 ignores it (default: 0.25)",
    )
    group.add_argument(
        "--trust-power",
        metavar="C",
        type=float,
        help="power of the label trust; 0 treats all labels as correct (default: 2)",
    )
    group.add_argument(
        "--duplicate-power",
        metavar="B",
        type=float,
        help="power of the number of near-duplicates; 0 ignores them (default: 1)",
    )


def run(args: argparse.Namespace) -> int:
    """Run ``spectral-select select``."""
    check_parquet_arguments(args, ("key", "columns", "shuffle"))
    if args.id is not None:
        return _run_on_files(args)
    out = _check_out(args.out)
    options = _check_options(args)
    from spectral_select._features.readers import read_features, read_labels

    selector = _make_selector(args, options)
    exclude = [args.labels] if args.labels is not None else []
    X = read_features(args.features, key=args.key, columns=args.columns, exclude=exclude)
    names = RowNames.of(args.features)
    names.check_format(out)
    y = read_labels(args.features, options["labels"]) if args.method == "guided" else None
    start = time.perf_counter()
    try:
        indices, scores = _select(selector, X, y, args.shuffle, args.seed or 0)
    except ValueError as error:  # name the files, not X and y
        message = str(error)
        if message.startswith("X "):
            raise ValueError(args.features + message[1:]) from error
        if message.startswith("y "):
            raise ValueError(f"--labels of {args.features}" + message[1:]) from error
        raise
    seconds = time.perf_counter() - start
    if out is None:
        sys.stdout.write(names.lines(indices).encode(errors="backslashreplace").decode())
        return 0
    shared = ("filter_ratio", "candidate_size", "shuffle")
    record = {
        "features": args.features,
        "n_samples": len(X),
        "n_features": X.shape[1],
        **({} if args.method == "fiedler" else {"method": args.method}),
        **{key: getattr(args, key) for key in shared},
        **options,
        "seed": args.seed,
    }
    write_atomically(out, lambda file: _write(file, out.suffix, indices, scores, names, record))
    print(
        f"kept {len(indices)} of {len(X)} rows of {X.shape[1]} features in {seconds:.2f} s: {out}"
        + (f"; the rows cover {names.extent}" if names.extent else ""),
        file=sys.stderr,
    )
    return 0


def _run_on_files(args: argparse.Namespace) -> int:
    """Write a file of selected ids for each of many Parquet files."""
    if args.method != "fiedler":
        raise ValueError(f"--id needs --method fiedler; got --method {args.method}")
    if args.candidate_size is None:
        raise ValueError("--id needs --candidate-size, the number of rows in a candidate batch")
    options = _check_options(args)
    import_module("pyarrow.parquet")
    from spectral_select._parquet.select_files import select_files

    skipped = select_files(
        args.features,
        Path(args.out),
        _make_selector(args, options),
        id_column=args.id,
        embedding_column=args.embedding,
        skip_corrupt=args.skip_corrupt,
        report=show_progress,
        **engine_arguments(args),
    )
    report_skipped(skipped)
    return 0


def _check_out(name: str) -> Path | None:
    if name == "-":
        return None
    out = Path(name)
    if out.suffix not in _SUFFIXES:
        raise ValueError(f"--out must end in one of {', '.join(_SUFFIXES)}; got {name!r}")
    if not out.absolute().parent.is_dir():
        raise ValueError(f"--out {name}: the folder {out.absolute().parent} does not exist")
    if out.suffix == ".parquet":
        import_module("pyarrow.parquet")  # fail before any work if it is missing
    return out


def _check_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of the method; raise if an option of another method is given."""
    from spectral_select._selectors.ratio import check_filter_ratio

    check_filter_ratio(args.filter_ratio, "--filter-ratio")
    if args.seed is not None and not 0 <= args.seed < 2**32:
        raise ValueError(f"--seed must be between 0 and 2**32 - 1; got {args.seed}")
    for method, names in _OF_METHOD.items():
        for name in names:
            if method != args.method and getattr(args, name) is not None:
                option = "--" + name.replace("_", "-")
                raise ValueError(f"{option} needs --method {method}; got --method {args.method}")
    given = {name: getattr(args, name) for name in _OF_METHOD[args.method]}
    options = {k: _DEFAULTS[k] if value is None else value for k, value in given.items()}
    if args.shuffle and options.get("affinity") == "precomputed":
        raise ValueError("--shuffle needs features; got --affinity precomputed")
    return options


def _make_selector(args: argparse.Namespace, options: dict[str, Any]) -> Any:
    from spectral_select import FiedlerBatchSelector, GuidedBatchSelector

    parameters = {k: value for k, value in options.items() if k != "labels"}
    return {"fiedler": FiedlerBatchSelector, "guided": GuidedBatchSelector}[args.method](
        args.filter_ratio,
        candidate_size=args.candidate_size,
        random_state=args.seed,
        **parameters,
    )


def _select(
    selector: Any, X: NDArray[Any], y: NDArray[Any] | None, shuffle: bool, seed: int
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the selected indices in ascending order, and their scores."""
    order = np.random.default_rng(seed).permutation(len(X)) if shuffle else None
    labels = () if y is None else (y,)
    try:
        if order is None or (y is not None and len(y) != len(X)):
            selector.fit(X, *labels)
        else:
            shuffled = WidenedRows(X, order) if map_beneath(X) is not None else X[order]
            selector.fit(shuffled, *(y[order] for y in labels))
    except ValueError:
        if order is not None:
            selector.fit(X, *labels)  # fails again, but the message has the row number in the file
        raise
    kept = selector.sample_indices_
    scores = selector.scores_ if y is None else selector.weights_
    rows = kept if order is None else order[kept]
    ascending = np.argsort(rows)
    return rows[ascending].astype(np.int64), scores[kept][ascending]


def _write(
    file: IO[bytes],
    suffix: str,
    indices: NDArray[np.int64],
    scores: NDArray[Any],
    names: RowNames,
    options: dict[str, Any],
) -> None:
    if suffix == ".npy":
        np.save(file, indices)
        return
    columns = {"index": indices.tolist(), **names.columns(indices), "score": scores.tolist()}
    if suffix in TABLE_SUFFIXES:
        write_table(columns, suffix, file)
        return
    if suffix == ".json":
        named = {"paths": columns["path"]} if "path" in columns else {}
        text = json.dumps({**options, "indices": columns["index"], **named}) + "\n"
    else:
        text = names.lines(indices)
    file.write(text.encode("utf-8", "surrogateescape"))
