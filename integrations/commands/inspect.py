"""The inspect command: find problems in a dataset, and write a table and a page."""

import argparse
import time
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select import DatasetInspection, EmbeddingStore, inspect_dataset
from spectral_select._cli.feature_arguments import add_feature_arguments, column_names
from spectral_select._cli.parquet_arguments import (
    add_parquet_arguments,
    check_parquet_arguments,
    engine_arguments,
    report_skipped,
    show_progress,
)
from spectral_select._features.readers import read_columns, read_features, read_labels
from spectral_select._features.row_names import RowNames
from spectral_select._utils.table_files import TABLE_SUFFIXES
from spectral_select._utils.validation import check_number, check_positive_int

__all__ = ["add_arguments", "run"]

_DESCRIPTION = """\
Find wrong labels, outliers and near-duplicates in a file of features (embeddings, one row per
sample). The command prints a summary; --report writes an HTML page, and --out writes a table with
a row for each sample. With OTHER, such as a test set, it also finds samples common to both files.
"""

_EPILOG = """\
examples:
  spectral-select inspect photos.store                     # a summary
  spectral-select inspect photos.store --images photos --report page.html
                               # a page with thumbnails
  spectral-select inspect train.store test.store --out table.csv
                               # also near-duplicates between the two
  spectral-select inspect texts.store --texts texts.jsonl --report page.html
                               # a page with the texts
  spectral-select inspect texts.parquet --columns embedding --labels topic --show text \\
      --report page.html       # the text is shown instead of an image
  spectral-select inspect 'embeddings/*.parquet' --id id --embedding embedding \\
      --label label --out scores   # many files, one file of scores for each
"""

_SHOWN = 5  # entries of each kind in the summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``spectral-select inspect``."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    add_feature_arguments(parser)
    add_parquet_arguments(parser)
    parser.add_argument(
        "other",
        metavar="OTHER",
        nargs="?",
        help="features of a second dataset, computed in the same way",
    )
    parser.add_argument(
        "--out", "-o", metavar="FILE", help="write the table to a .csv or .parquet file"
    )
    parser.add_argument("--report", metavar="FILE", help="write a self-contained .html page")
    parser.add_argument(
        "--images",
        metavar="DATASET",
        help="show thumbnails; DATASET is the source of FEATURES, given as for extract",
    )
    parser.add_argument(
        "--other-images", metavar="DATASET", help="the same for OTHER (default: same as --images)"
    )
    parser.add_argument(
        "--texts",
        metavar="DATASET",
        help="show the texts; DATASET is the source of FEATURES, given as for extract",
    )
    parser.add_argument(
        "--show",
        metavar="A,B,...",
        type=column_names,
        help="columns of a Parquet or CSV file that the page shows for each sample, such as its "
        "text",
    )
    parser.add_argument(
        "--labels",
        "--label",
        metavar="NAME",
        help="array in the .npz file, column in the Parquet or CSV file, or a .npy file (default: "
        "the labels in the store; without labels, only outliers and near-duplicates are found)",
    )
    parser.add_argument(
        "--duplicate-similarity",
        metavar="S",
        type=float,
        help="minimum similarity of near-duplicates, in [0, 1] (default: 0.95, or more if many "
        "samples are that similar)",
    )
    parser.add_argument(
        "--landmarks",
        metavar="N",
        type=int,
        default=1024,
        help="number of landmarks for nonlinear graphs; more are slower but more accurate "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        metavar="S",
        type=int,
        default=0,
        help="seed for the landmarks (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Run ``spectral-select inspect``."""
    check_parquet_arguments(args, ("other", "report", "show", "images", "key", "columns"))
    if args.id is not None:
        return _run_on_files(args)
    _check_outputs(args)
    read = partial(
        read_features,
        key=args.key,
        columns=args.columns,
        exclude=[] if args.labels is None else [args.labels],
    )
    X = read(args.features)
    names = RowNames.of(args.features)
    labels = _labels(args, names)
    other = None
    other_names = RowNames()
    if args.other is not None:
        other = read(args.other)
        other_names = RowNames.of(args.other)
    images = _images(args.features, args.images)
    other_images = None if other is None else _images(args.other, args.other_images or args.images)
    shown = read_columns(args.features, args.show) if args.show else {}
    if args.texts is not None:
        shown["text"] = _texts(args.features, args.texts)
    start = time.perf_counter()
    found = inspect_dataset(
        X,
        labels,
        other=other,
        duplicate_similarity=args.duplicate_similarity,
        n_landmarks=args.landmarks,
        paths=names.paths,
        other_paths=other_names.paths,
        random_state=args.seed,
    )
    seconds = time.perf_counter() - start
    _summarize(args, found, X.shape, names.extent, seconds)
    if args.out is not None:
        found.write(args.out)
        print(f"wrote the table, a row for each sample, to {args.out}")
    if args.report is not None:
        from spectral_select.integrations.inspection.page import write_page

        write_page(
            args.report,
            found,
            title=_title(args.features),
            other_title=_title(args.other) if args.other else "",
            images=images,
            other_images=other_images,
            other_labels=None if other_names.labels is None else [*map(str, other_names.labels)],
            details=shown,
        )
        print(f"wrote the page to {args.report}")
        if images is None and names.paths is not None and "text" not in shown:
            print(_hint(args.features))
    return 0


def _run_on_files(args: argparse.Namespace) -> int:
    """Write a file of scores for each of many Parquet files."""
    from spectral_select._inspection.block_inspection import InspectOptions
    from spectral_select._parquet.inspect_files import inspect_files

    check_positive_int(args.landmarks, "--landmarks")
    if args.duplicate_similarity is not None:
        check_number(args.duplicate_similarity, "--duplicate-similarity", 0, 1)
    if not 0 <= args.seed < 2**32:
        raise ValueError(f"--seed must be between 0 and 2**32 - 1; got {args.seed}")
    import_module("pyarrow.parquet")
    skipped = inspect_files(
        args.features,
        Path(args.out),
        id_column=args.id,
        embedding_column=args.embedding,
        label_column=args.labels,
        options=InspectOptions(args.landmarks, args.duplicate_similarity, args.seed),
        skip_corrupt=args.skip_corrupt,
        report=show_progress,
        **engine_arguments(args),
    )
    report_skipped(skipped)
    print(f"{args.out}: scores, a file for each input file")
    return 0


def _check_outputs(args: argparse.Namespace) -> None:
    """Reject outputs that cannot be written, before any work is done."""
    for option, name, suffixes in (
        ("--out", args.out, TABLE_SUFFIXES),
        ("--report", args.report, (".html", ".htm")),
    ):
        if name is None:
            continue
        if Path(name).suffix not in suffixes:
            raise ValueError(f"{option} must end in {' or '.join(suffixes)}; got {name!r}")
        folder = Path(name).absolute().parent
        if not folder.is_dir():
            raise ValueError(f"{option} {name}: the folder {folder} does not exist")
    if args.out is not None and args.out.endswith(".parquet"):
        import_module("pyarrow.parquet")
    if args.report is not None:
        import_module("jinja2")
    options = (("--images", args.images), ("--texts", args.texts), ("--show", args.show))
    for option, value in options:
        if value is not None and args.report is None:
            raise ValueError(f"{option} needs --report")
    if args.other_images is not None and (args.other is None or args.report is None):
        raise ValueError("--other-images needs OTHER and --report")
    if not 0 <= args.seed < 2**32:
        raise ValueError(f"--seed must be between 0 and 2**32 - 1; got {args.seed}")


def _labels(args: argparse.Namespace, names: RowNames) -> NDArray[Any] | None:
    """Return the requested labels or, by default, the store's labels as class names."""
    if args.labels is not None:
        return read_labels(args.features, args.labels)
    return None if names.labels is None else np.array(names.labels)


def _images(features: str, dataset: str | None) -> Any:
    if dataset is None:
        return None
    if not Path(features).is_dir():
        raise ValueError(f"--images needs an embedding store; got {features}")
    from spectral_select.integrations.inspection.thumbnails import images_of_store

    return images_of_store(EmbeddingStore.open(features), dataset)


def _texts(features: str, dataset: str) -> list[str]:
    if not Path(features).is_dir():
        raise ValueError(f"--texts needs an embedding store; got {features}")
    from spectral_select.integrations.inspection.store_dataset import texts_of_store

    return texts_of_store(EmbeddingStore.open(features), dataset)


def _hint(features: str) -> str:
    """Return a hint on how to show a store's samples on the page."""
    if EmbeddingStore.open(features).meta.get("unit") == "texts":
        return "to show the texts, add --texts with the file that they were extracted from"
    return "for thumbnails, add --images with the folder that the paths are relative to"


def _title(features: str) -> str:
    return Path(features).resolve().name


def _summarize(
    args: argparse.Namespace,
    found: DatasetInspection,
    shape: tuple[int, ...],
    extent: str,
    seconds: float,
) -> None:
    about = f" ({extent})" if extent else ""
    print(f"{shape[0]:,} samples of {shape[1]:,} features{about}, inspected in {seconds:.1f} s")
    if (wrong := found.wrong_labels) is None or found.labels is None:
        print("labels: none were given")
    else:
        issues = found.label_issues_
        share = wrong.noise_rate
        print(
            f"labels: {len(issues):,} to check, the least trusted first; an estimated "
            f"{share:.1%} of all labels ({share * shape[0]:,.0f}) are wrong"
        )
        for i in issues[:_SHOWN]:
            print(
                f"  {_name(found.paths, i)}: {found.labels[i]}, more likely {wrong.suggested[i]} "
                f"({100 * wrong.suggested_probability[i]:.0f}%)"
            )
    groups = found.near_duplicates_
    members = sum(len(group) for group in groups)
    print(
        f"near-duplicates: {members:,} samples in {len(groups):,} groups, "
        f"{int(found.duplicates.exact.sum()):,} of them exact copies"
    )
    for group in groups[:_SHOWN]:
        some = ", ".join(_name(found.paths, i) for i in group[:3])
        print(f"  {some}{f' and {len(group) - 3} more' if len(group) > 3 else ''}")
    if args.other is not None:
        print(f"also in {args.other}: {len(found.crossing_duplicates_):,} samples")
        for i, j in found.crossing_duplicates_[:_SHOWN]:
            print(f"  {_name(found.paths, i)} = {_name(found.other_paths, j)}")
    print(f"outliers: {len(found.outliers_):,}")
    for i in found.outliers_[:_SHOWN]:
        print(f"  {_name(found.paths, i)}")


def _name(paths: tuple[str, ...] | None, i: int) -> str:
    return f"row {i}" if paths is None else paths[i].encode(errors="backslashreplace").decode()
