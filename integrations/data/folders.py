"""Image folders: decide which folders are splits or classes, and which files are images."""

import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torchvision.datasets.folder import IMG_EXTENSIONS

from spectral_select.integrations.data.images import ImageFiles

__all__ = ["ImageFolder", "read_image_folder", "split_of"]

_SUFFIX = r"([ _-]?(set|data|dataset|images|imgs|split))?"
# Names of splits, ignoring case, with optional suffixes as in "train_images" or "Test Set".
_PART_NAMES = {
    "train": re.compile(rf"(train|training|trainval){_SUFFIX}", re.IGNORECASE),
    "val": re.compile(rf"(val|valid|validation|validate|dev){_SUFFIX}", re.IGNORECASE),
    "test": re.compile(rf"(test|testing){_SUFFIX}", re.IGNORECASE),
}

# Files and folders that operating systems, file servers and notebooks create; they are not data.
_ALIEN = re.compile(
    r"\..*|__MACOSX|__pycache__|Thumbs\.db|ehthumbs\.db|desktop\.ini|Icon\r"
    r"|@eaDir|@__thumb|#recycle|\$RECYCLE\.BIN|System Volume Information|lost\+found",
    re.IGNORECASE,
)

_LEADS_BACK, _BROKEN = "links to their own folder or one above", "broken links"


@dataclass(frozen=True)
class ImageFolder:
    """The images, labels and classes that `read_image_folder` finds.

    Attributes
    ----------
    parts : dict
        Images and labels for "train" and, if the folder has them, for "val" and "test".
    classes : list of str
        Class names, by label.
    layout : str
        Description of which folder is used as which split.
    """

    parts: dict[str, tuple[ImageFiles, NDArray[np.int64]]]
    classes: list[str]
    layout: str


def read_image_folder(folder: Path) -> ImageFolder:
    """List the images in a folder of splits and classes, or of classes only.

    Hidden files and system files (``__MACOSX``, ``Thumbs.db``) are ignored. If other files are
    skipped, a warning lists them.

    Parameters
    ----------
    folder : Path
        A folder of the form ``FOLDER/train/CLASS/*.jpg``, with ``val`` and ``test`` optional,
        or ``FOLDER/CLASS/*.jpg``. Other common split names are recognized ("training",
        "valid", "dev", "testing", …), in upper or lower case. A validation split without a
        test split becomes the test split.

    Returns
    -------
    ImageFolder

    Raises
    ------
    ValueError
        If there are no classes or no images, a class folder contains folders, two folders are
        the same split or class, or a split has a class that the training split lacks.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as name:
    ...     for part in ("Training", "valid"):
    ...         (Path(name) / part / "cat").mkdir(parents=True)
    ...         Image.new("L", (9, 9)).save(Path(name) / part / "cat" / "0.png")
    ...     found = read_image_folder(Path(name))
    >>> found.classes, found.layout
    (['cat'], 'folders valid as test, Training as train')
    """
    scan = _Scan(folder)
    names = _part_folders(folder, scan)
    classes = scan.subfolders(folder / names["train"])
    if not classes:
        raise ValueError(
            f"{folder} contains no sub-folders: expected {folder}/CLASS/*.jpg, or "
            f"{folder}/train/CLASS/*.jpg and {folder}/test/CLASS/*.jpg"
        )
    _refuse_same(folder, list(names.values()))
    train = folder / names["train"]
    parts = {key: scan.part(name, classes, train) for key, name in names.items()}
    empty = set(range(len(classes))) - set(parts["train"][1].tolist())
    if empty:
        where = train / classes[min(empty)]
        more = f" (and {len(empty) - 1} more classes)" if len(empty) > 1 else ""
        raise ValueError(
            f"{where}{more}: no images found; expected files ending in {', '.join(IMG_EXTENSIONS)}"
        )
    scan.warn()
    return ImageFolder(parts, classes, _layout(names))


def _layout(names: dict[str, str]) -> str:
    if names == {"train": ""}:
        return "one folder"
    if len(names) == 1:
        return f"folder {names['train']}"
    return "folders " + ", ".join(f"{v} as {k}" for k, v in sorted(names.items()))


def split_of(name: str) -> str | None:
    """Return the split that a folder, file or dataset called `name` contains, or None."""
    return next((split for split, names in _PART_NAMES.items() if names.fullmatch(name)), None)


def _part_folders(folder: Path, scan: "_Scan") -> dict[str, str]:
    """Return the folder name of each split; `folder` itself has an empty name."""
    inside = scan.subfolders(folder)
    names: dict[str, str] = {}
    for name in inside:
        part = split_of(name)
        if part in names:
            raise ValueError(
                f"{folder} has two folders for the {part} split, {names[part]} and {name}; "
                "merge or rename them"
            )
        if part is not None:
            names[part] = name
    others = [name for name in inside if name not in names.values()]
    if "train" not in names or not scan.subfolders(folder / names["train"]):
        if names and not others:
            raise ValueError(
                f"{folder} contains {', '.join(names.values())}, but no folder train with one "
                f"sub-folder per class: expected {folder}/train/CLASS/*.jpg"
            )
        return {"train": ""}
    if others:
        if next(scan.images(folder / names["train"]), None):
            raise ValueError(
                f"{folder / names['train']} contains images and folders, so it could be a class "
                f"like {others[0]} or the training split; move its images or its folders"
            )
        scan.ignored += [f"the folder {name}, which is not a split" for name in others]
    if "val" in names and "test" not in names:
        names["test"] = names.pop("val")
    return names


@dataclass
class _Scan:
    """Scans the folders below `root`, and records what is skipped."""

    root: Path
    skipped: dict[str, str] = field(default_factory=dict)  # kind of file, by path
    ignored: list[str] = field(default_factory=list)

    def subfolders(self, folder: Path) -> list[str]:
        """Return the names of the folders in a folder, sorted."""
        folders = {entry.name: entry for entry in _entries(folder) if entry.is_dir()}
        for name in [name for name, entry in folders.items() if _leads_back(entry, folder)]:
            self.skipped[folders.pop(name).path] = _LEADS_BACK
        return sorted(folders)

    def images(self, folder: Path) -> Iterator[str]:
        """Yield the names of the images in a folder, sorted."""
        for entry in sorted(_entries(folder), key=lambda e: e.name):
            if entry.is_file() and entry.name.lower().endswith(IMG_EXTENSIONS):
                yield entry.name

    def part(
        self, name: str, classes: list[str], train: Path
    ) -> tuple[ImageFiles, NDArray[np.int64]]:
        """Return the images and labels of a split; its classes must also be in `train`."""
        folder = self.root / name
        present = self.subfolders(folder)
        if strange := sorted(set(present) - set(classes)):
            raise ValueError(f"{folder} has classes that {train} lacks: {', '.join(strange[:5])}")
        _refuse_same(folder, present)
        outside = len(list(self.images(folder)))
        if outside and not present:
            raise ValueError(
                f"{folder} contains {outside} images, but no sub-folder per class: expected "
                f"{folder}/CLASS/*.jpg; images without labels do not belong in the dataset"
            )
        if outside:
            self.ignored.append(f"{outside} images directly in {folder}, outside its classes")
        paths: list[str] = []
        labels: list[int] = []
        for label, class_name in enumerate(classes):
            if class_name in present:
                self._check_class(folder / class_name)
                files = list(self.images(folder / class_name))
                paths += [os.path.join(name, class_name, file) for file in files]  # noqa: PTH118
                labels += [label] * len(files)
        if not paths:
            raise ValueError(
                f"{folder} contains no images; expected {folder}/CLASS/*.jpg"
                f" (or another extension: {', '.join(IMG_EXTENSIONS)})"
            )
        return ImageFiles(self.root, paths), np.asarray(labels, dtype=np.int64)

    def warn(self) -> None:
        """Issue one warning about everything that was skipped."""
        ignored = list(self.ignored)
        if self.skipped:
            kinds = Counter(self.skipped.values()).most_common(6)
            some = ", ".join(f"{n} {kind}" for kind, n in kinds[:5]) + ", …"[: 3 * (len(kinds) > 5)]
            ignored.append(
                f"{len(self.skipped)} files that are not images ({some}; images end in "
                f"{', '.join(IMG_EXTENSIONS)})"
            )
        if ignored:
            warnings.warn(f"{self.root}: skipped {'; '.join(ignored)}", stacklevel=5)

    def _check_class(self, folder: Path) -> None:
        """Reject a class folder that contains folders, and record files that are not images."""
        if inner := self.subfolders(folder):
            some = ", ".join(inner[:3]) + (", …" if len(inner) > 3 else "")
            raise ValueError(
                f"{folder} contains folders ({some}), but a class folder must contain only "
                "images. The dataset must have the form FOLDER/CLASS/*.jpg or "
                "FOLDER/train/CLASS/*.jpg"
            )
        for entry in _entries(folder):
            if entry.is_file() and not entry.name.lower().endswith(IMG_EXTENSIONS):
                kind = Path(entry.name).suffix.lower() or "without an extension"
                self.skipped[entry.path] = kind
            elif not entry.is_file() and not entry.is_dir():
                self.skipped[entry.path] = _BROKEN


def _refuse_same(folder: Path, names: list[str]) -> None:
    """Reject two splits or classes that are the same folder because of a link."""
    real: dict[str, str] = {}
    for name in names:
        first = real.setdefault(os.path.realpath(folder / name), name)
        if first != name:
            raise ValueError(f"{first} and {name} in {folder} are the same folder (linked)")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder, without hidden and system files."""
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not _ALIEN.fullmatch(entry.name)]


def _leads_back(entry: os.DirEntry[str], folder: Path) -> bool:
    """Return whether an entry is a link to its own folder or a folder above it."""
    if not entry.is_symlink():
        return False
    here, there = Path(os.path.realpath(folder)), Path(os.path.realpath(entry.path))
    return there == here or there in here.parents
