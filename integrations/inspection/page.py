"""The inspection page: one self-contained HTML file."""

import os
from base64 import b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from spectral_select import DatasetInspection
from spectral_select._utils.atomic_files import write_atomically
from spectral_select.integrations.inspection.content import Details, collect
from spectral_select.integrations.inspection.thumbnails import Images, Thumbnails

__all__ = ["write_page"]

_TEMPLATES = Path(__file__).parent / "templates"


def write_page(
    path: str | os.PathLike[str],
    found: DatasetInspection,
    *,
    title: str = "dataset",
    other_title: str = "the other dataset",
    images: Images | None = None,
    other_images: Images | None = None,
    label_name: Callable[[Any], str] = str,
    other_labels: Sequence[str] | None = None,
    details: Details | None = None,
) -> None:
    """Write the results of an inspection to a self-contained page.

    Parameters
    ----------
    path : path
        Path of the ``.html`` page.
    found : DatasetInspection
        The result of `inspect_dataset`.
    title, other_title : str
        Names of the datasets.
    images, other_images : Images, optional
        Source of the thumbnails; without images, the page shows names.
    label_name : callable, default=str
        Returns the name of a label.
    other_labels : sequence of str, optional
        Names of the labels in the other dataset.
    details : mapping of str to sequence, optional
        Columns to show for each sample, such as a text.

    Raises
    ------
    OSError
        If the page cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_digits
    >>> from spectral_select import inspect_dataset
    >>> found = inspect_dataset(*load_digits(return_X_y=True))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_page(folder + "/page.html", found, title="digits")
    ...     "<h1>" in Path(folder, "page.html").read_text(encoding="utf-8")
    True
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    content = collect(
        found,
        Thumbnails(images),
        Thumbnails(other_images, "o"),
        label_name=label_name,
        details=details,
        other_labels=other_labels,
    )
    templates = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
    page = templates.get_template("page.html").render(
        title=title,
        other_title=other_title,
        content=content,
        style=(_TEMPLATES / "page.css").read_text(encoding="utf-8"),
        pictures="\n".join(part.rules() for part in content.thumbnails),
        script=script,
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
        has_images=images is not None,
        n_unreadable=sum(part.n_unreadable for part in content.thumbnails),
    )
    write_atomically(path, lambda file: file.write(page.encode("utf-8", "replace")))
