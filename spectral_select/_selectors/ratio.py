"""Number of rows that a filter ratio keeps, and number of candidates that a batch needs."""

from math import ceil, floor
from numbers import Real

from spectral_select._utils.validation import check_positive_int

__all__ = ["batch_counts", "check_filter_ratio", "n_candidates", "n_kept", "ratio_that_keeps"]

# Tolerance for the roundoff in `1 - filter_ratio`: 100 * (1 - 0.8) is 19.999… in floating point
# but means 20. The tolerance is far above the roundoff error and far below one row in 10⁹.
_SLACK = 2.0**-40


def check_filter_ratio(filter_ratio: float, name: str = "filter_ratio") -> float:
    """Return `filter_ratio` as a float, or raise an error that refers to it as `name`."""
    if isinstance(filter_ratio, bool) or not isinstance(filter_ratio, Real):
        raise TypeError(
            f"{name} must be a real number in [0, 1), the share of rows discarded; "
            f"got {filter_ratio!r} of type {type(filter_ratio).__name__}"
        )
    # Read a float32 value by its shortest decimal, such as 0.8, not by its exact value.
    filter_ratio = float(str(filter_ratio)) if hasattr(filter_ratio, "dtype") else filter_ratio
    if not 0.0 <= filter_ratio < 1.0:
        raise ValueError(
            f"{name} must be in [0, 1), the share of rows discarded; got {filter_ratio!r}"
        )
    return float(filter_ratio)


def n_kept(n: int, filter_ratio: float) -> int:
    """Return how many of `n` rows are kept if a share `filter_ratio` is discarded.

    This is the floor of ``n * (1 - filter_ratio)`` without floating-point error, but at least 1.

    Parameters
    ----------
    n : int
        Number of candidate rows, at least 1.
    filter_ratio : float
        Share of rows to discard, in [0, 1).

    Returns
    -------
    int
        Number of rows kept, between 1 and `n`.

    Raises
    ------
    TypeError, ValueError
        If `n` is not a positive integer or `filter_ratio` is outside [0, 1).

    Examples
    --------
    >>> from spectral_select import n_kept
    >>> n_kept(100, 0.8), int(100 * (1 - 0.8))
    (20, 19)
    >>> n_kept(10, 0.9), n_kept(3, 0.9)
    (1, 1)
    """
    n = check_positive_int(n, "n")
    return max(1, _floor_of_share(n, 1.0 - check_filter_ratio(filter_ratio)))


def n_candidates(batch_size: int, filter_ratio: float) -> int:
    """Return how many candidates are needed to keep `batch_size` rows.

    This is ``batch_size / (1 - filter_ratio)``, rounded up without floating-point error.

    Parameters
    ----------
    batch_size : int
        Number of rows to keep, at least 1.
    filter_ratio : float
        Share of rows to discard, in [0, 1).

    Returns
    -------
    int
        Number of candidates ``c``, for which ``n_kept(c, filter_ratio) == batch_size``.

    Raises
    ------
    TypeError, ValueError
        If `batch_size` is not a positive integer or `filter_ratio` is outside [0, 1).

    Examples
    --------
    >>> from spectral_select import n_candidates
    >>> n_candidates(128, 0.8)
    640
    """
    batch_size = check_positive_int(batch_size, "batch_size")
    share = 1.0 - check_filter_ratio(filter_ratio)
    count = max(1, ceil(batch_size / share) - 1)
    while _floor_of_share(count, share) < batch_size:
        count += 1
    return count


def batch_counts(n: int, candidate_size: int | None, filter_ratio: float) -> tuple[int, int, int]:
    """Return the size of a candidate batch, and how many rows to keep in it and in a shorter one.

    Only the last batch of the `n` rows can be shorter; if it is not, the last number is 0.
    """
    size = min(candidate_size or n, n)
    rest = n % size
    return size, n_kept(size, filter_ratio), n_kept(rest, filter_ratio) if rest else 0


def ratio_that_keeps(k: int, n: int, preferred: float) -> float:
    """Return a filter ratio that keeps exactly `k` of `n` rows: `preferred` if it does."""
    return preferred if n_kept(n, preferred) == k else 1 - k / n


def _floor_of_share(n: int, share: float) -> int:
    return min(n, floor(n * share + n * _SLACK))
