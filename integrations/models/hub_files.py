"""Files of a model in a repository on the Hugging Face hub, or in the hub's cache."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

__all__ = ["download", "first_file", "is_repository"]


def is_repository(name: str) -> bool:
    """Return whether `name` has the form ORG/NAME.

    Examples
    --------
    >>> is_repository("timm/resnet18.a1_in1k"), is_repository("resnet18")
    (True, False)
    """
    return name.count("/") == 1 and not name.startswith((".", "/", "~"))


def download(
    repository: str,
    patterns: Sequence[str],
    alternatives: Sequence[Sequence[str]] = (),
    *,
    revision: str | None = None,
) -> tuple[Path, str]:
    """Download files from the top folder of a repository, unless they are cached.

    Parameters
    ----------
    repository : str
        ORG/NAME.
    patterns : sequence of str
        Names of files, with wildcards, that are downloaded if they exist.
    alternatives : sequence of sequences of str
        Groups of further names. Only the first group that matches a file is downloaded.
    revision : str, optional
        Branch, tag or commit; the main branch by default.

    Returns
    -------
    folder : Path
        The folder in the hub's cache.
    commit : str
        The commit that the files belong to.

    Raises
    ------
    FileNotFoundError
        If the repository or the revision does not exist, or is not cached and cannot be
        downloaded.
    ValueError
        If `repository` is not a valid name.

    Examples
    --------
    >>> download("my--org/name", ["config.json"])
    Traceback (most recent call last):
        ...
    ValueError: 'my--org/name' is not a repository ORG/NAME on the Hugging Face hub: ...
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    folder = Path()
    try:
        for group in alternatives or [()]:
            folder = _snapshot(repository, [*patterns, *group], revision)
            if any(path for pattern in group for path in folder.glob(pattern)):
                break
    except HFValidationError as error:
        raise ValueError(
            f"{repository!r} is not a repository ORG/NAME on the Hugging Face hub: {error}"
        ) from error
    except RevisionNotFoundError as error:
        raise FileNotFoundError(f"{repository} has no revision {revision!r}") from error
    except RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"there is no repository {repository} on the Hugging Face hub, or it is private"
        ) from error
    except (HfHubHTTPError, OSError) as error:
        which = repository if revision is None else f"{repository} at revision {revision}"
        reason = textwrap.shorten(str(error.__cause__ or error), 200, placeholder=" …")
        raise FileNotFoundError(
            f"{which} is not in the cache {constants.HF_HUB_CACHE} and could not be downloaded "
            f"({reason}); copy it there, or pass 'random' or the path of a local copy as weights"
        ) from error
    return folder, folder.name


def _snapshot(repository: str, patterns: Sequence[str], revision: str | None) -> Path:
    """Return the folder of a commit in the cache, after downloading missing files."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import OfflineModeIsEnabled

    options = {"allow_patterns": [*patterns], "ignore_patterns": ["*/*"], "revision": revision}
    try:
        return Path(snapshot_download(repository, **options))
    except OfflineModeIsEnabled:  # huggingface_hub 1.x raises this even for a cached commit
        return Path(snapshot_download(repository, local_files_only=True, **options))


def first_file(folder: Path, names: Sequence[str]) -> Path | None:
    """Return the path of the first of `names` that is a file in `folder`, or None.

    Examples
    --------
    >>> first_file(Path(), ["model.safetensors"]) is None
    True
    """
    return next((folder / name for name in names if (folder / name).is_file()), None)
