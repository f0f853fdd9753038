"""Create an image folder that matches one of the conditions, for training networks.

    python benchmarks/make_condition.py photos runs/photos-wrong --condition wrong-labels
    spectral-select train runs/photos-wrong --methods full random guided

The conditions are the same as in ``accuracy_vs_budget.py``, and the same code creates them
(``_conditions.py``). Near-copies are images with added noise. The folder must have train/CLASS
and test/CLASS; only train/ is changed. Images are linked if the file system supports links,
otherwise copied.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _conditions import CONDITIONS, make_condition
from numpy.typing import NDArray
from PIL import Image
from torchvision.datasets import ImageFolder

from spectral_select import EmbeddingStore

NOISE = 5.0  # noise in a near-copy, standard deviation in gray levels


def main(argv: Sequence[str] | None = None) -> int:
    """Write the folder."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="\n".join(__doc__.splitlines()[2:]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, help="folder with train/CLASS and test/CLASS")
    parser.add_argument("target", type=Path, help="folder to write; must not exist")
    parser.add_argument("--condition", choices=CONDITIONS, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--features",
        metavar="STORE",
        help="embeddings of train/ for the weak classifier in instance-wrong-labels",
    )
    options = parser.parse_args(argv)
    try:
        counts = write_condition(
            options.source, options.target, options.condition, options.seed, options.features
        )
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2
    print(f"{options.target}: {counts['images']:,} training images, {counts['wrong']:,} with a "
          f"wrong label, {counts['copies']:,} near-copies")  # fmt: skip
    return 0


def write_condition(
    source: Path, target: Path, condition: str, seed: int, store: str | None = None
) -> dict[str, int]:
    """Write a copy of `source` that matches a condition; return the numbers of changed images.

    Parameters
    ----------
    source, target : Path
        Folders with train/CLASS/IMAGE and test/CLASS/IMAGE; `target` must not exist.
    condition : str
        One of `CONDITIONS`.
    seed : int
        Seed; the same seed always changes the same images.
    store : str, optional
        Embeddings of train/, required for instance-dependent conditions.

    Returns
    -------
    dict of int
        The number of ``images`` in the new train/, and how many of these images are ``wrong`` (in
        the folder of another class) and how many are near-``copies``.
    """
    for part in ("train", "test"):
        if not (source / part).is_dir():
            raise ValueError(
                f"source must be a folder with train/ and test/; {source} has no {part}/"
            )
    if target.exists():
        raise FileExistsError(f"target already exists: {target}")
    found = ImageFolder(str(source / "train"))
    labels = np.array(found.targets)
    rows = _features(store, found, source / "train", condition)
    pool = make_condition(condition, rows, labels, [seed, 2])
    work = target.with_name(f"{target.name}.partial")
    shutil.rmtree(work, ignore_errors=True)
    for name in found.classes:
        (work / "train" / name).mkdir(parents=True)
    seen: set[int] = set()
    rng = np.random.default_rng([seed, 3])
    for number, (index, label) in enumerate(zip(pool.indices, pool.labels, strict=True)):
        path = Path(found.samples[index][0])
        place = work / "train" / found.classes[label] / f"{number:06}-{path.name}"
        if index in seen:
            _write_near_copy(path, place.with_suffix(".png"), rng)
        else:
            _link(path, place)
        seen.add(index)
    shutil.copytree(source / "test", work / "test", copy_function=_link)
    counts = {
        "images": len(pool),
        "wrong": int((pool.labels != labels[pool.indices]).sum()),
        "copies": len(pool) - len(seen),
    }
    about = {"condition": condition, "seed": seed, **counts}
    (work / "condition.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    work.rename(target)
    return counts


def _features(
    store: str | None, found: ImageFolder, folder: Path, condition: str
) -> NDArray[np.float32]:
    """Return the embedding of each image; if none are needed, a number for each image."""
    if not condition.startswith("instance"):
        return np.arange(len(found.samples), dtype=np.float32)[:, None]
    if store is None:
        raise ValueError(f"--condition {condition} needs --features")
    embeddings = EmbeddingStore.open(store)
    row = {Path(path).parts[-2:]: i for i, path in enumerate(embeddings.paths or ())}
    names = [Path(path).relative_to(folder).parts for path, _ in found.samples]
    missing = next((name for name in names if name not in row), None)
    if missing is not None:
        raise ValueError(f"{store} has no embedding of {Path(*missing)}")
    return np.asarray(embeddings.features[[row[name] for name in names]], np.float32)


def _write_near_copy(path: Path, place: Path, rng: np.random.Generator) -> None:
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"), np.float32)
    noisy = pixels + rng.normal(0, NOISE, pixels.shape)
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(place)


def _link(path: str | Path, place: str | Path) -> str:
    try:
        os.link(path, place)
    except OSError:  # the file systems differ or do not support links
        shutil.copy2(path, place)
    return str(place)


if __name__ == "__main__":
    sys.exit(main())
