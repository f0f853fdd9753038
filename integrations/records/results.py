"""Reading and writing results.json."""

import os
from pathlib import Path

from spectral_select._utils.json_files import read_json_object, write_json_atomically
from spectral_select.integrations.records.run_records import FORMAT, Results

__all__ = ["FORMAT", "PARTS", "read_results", "write_results"]

#: The splits of a dataset on which a network is evaluated.
PARTS = ("train", "val", "test")

_EXPECTED = "expected a run's folder, as written by spectral-select train"


def read_results(path: str | os.PathLike[str]) -> Results:
    """Read the results from a ``results.json`` or from a run's folder.

    Parameters
    ----------
    path : path
        The file or the folder.

    Returns
    -------
    Results
        The content of the file.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file was not written by ``spectral-select train``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "results.json").write_text('{"status": "complete"}')
    ...     read_results(folder)
    Traceback (most recent call last):
        ...
    ValueError: ...results.json has format None; expected 'spectral_select training results 1'
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; {_EXPECTED}")
    if path.is_dir():
        path = _results_in(path)
    content = read_json_object(path)
    if content.get("format") != FORMAT:
        raise ValueError(f"{path} has format {content.get('format')!r}; expected {FORMAT!r}")
    try:
        return Results.from_json(content)
    except ValueError as error:
        raise ValueError(f"{path} {error}") from error


def write_results(results: Results, path: str | os.PathLike[str]) -> None:
    """Write `results` to a file atomically.

    Parameters
    ----------
    results : Results
        The results.
    path : path
        The file.
    """
    write_json_atomically(path, results.to_json())


def _results_in(folder: Path) -> Path:
    path = folder / "results.json"
    if not path.exists():
        runs = [os.fspath(file.parent) for file in sorted(folder.glob("*/results.json"))]
        hint = f"; did you mean {' or '.join(runs[:3])}?" if runs else ""
        raise FileNotFoundError(f"{folder} contains no results.json; {_EXPECTED}{hint}")
    return path
