"""Selection within many candidate batches at once.

The rows are divided into consecutive candidate batches. Batches of equal size are stacked into
blocks of bounded memory. The batches of a block are solved together, and the blocks are
divided among the cores.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from spectral_select._fiedler.graph import DenseGraph, FactoredGraph, Graph, NonnegativeGraph
from spectral_select._fiedler.laplacian import NegativeDegreeError
from spectral_select._fiedler.refine import refine
from spectral_select._fiedler.result import FiedlerResult, Status
from spectral_select._fiedler.solve import solve, solve_with_graph
from spectral_select._selectors.rules import RULES
from spectral_select._utils.array_namespace import Array, astype, is_torch, namespace, to_numpy
from spectral_select._utils.progress_bar import progress_bar
from spectral_select._utils.threads import map_in_threads
from spectral_select._utils.widened_rows import WidenedRows

__all__ = ["Selection", "select_rows"]

# Maximum number of entries of the features, and of the Gram matrices, in a block: 64 MiB in
# float32. In measurements, smaller blocks spent more time on calls than on arithmetic.
_BLOCK_ENTRIES = 2**24
# Up to this batch size, a selection that float32 cannot decide is made in float64, by refining the
# vector or by solving again.
_REFINE_MAX = 4096
# On real batches, the error of an entry was at most 0.52·(residual + eps·‖L‖) / gap, and in 99 of
# 100 batches at most 0.25·(residual + eps·‖L‖) / gap.
_ENTRY_ERROR = 0.25


@dataclass
class Selection:
    """The selected rows, and the Fiedler vectors that selected them.

    Attributes
    ----------
    indices : ndarray of shape (n_kept,)
        Indices of the selected rows, ascending.
    vector : array of shape (n,)
        The Fiedler vectors of the batches, concatenated.
    value, gap, error_bound : ndarray of shape (n_batches,)
    status, n_iter : ndarray of shape (n_batches,)
    """

    indices: np.ndarray[Any, Any]
    vector: Array
    value: np.ndarray[Any, Any]
    gap: np.ndarray[Any, Any]
    error_bound: np.ndarray[Any, Any]
    status: np.ndarray[Any, Any]
    n_iter: np.ndarray[Any, Any]


def select_rows(
    X: Array,
    k: int,
    candidate_size: int,
    last_k: int = 0,
    *,
    rule: str,
    seed: int | None,
    verbose: bool,
    **options: Any,
) -> Selection:
    """Select `k` of every `candidate_size` consecutive rows of checked features.

    Parameters
    ----------
    X : array or sparse array of shape (n, d)
        Features; (n, n) affinities with ``affinity="precomputed"``.
    k : int
        Number of rows to keep in each candidate batch.
    candidate_size : int
        Number of rows in a candidate batch, at most n.
    last_k : int
        Number of rows to keep in a shorter last batch, if there is one.
    rule : str
        As in `FiedlerBatchSelector`.
    seed : int or None
        Seed for the rule's offsets; None selects the middle of each part.
    verbose : bool
        Whether to show the progress, in batches or, for a single batch, in iterations.
    **options
        Passed to the solver: laplacian, affinity, n_neighbors, tol, max_iter, start_seed and
        single (solve a single batch in the fastest way).

    Returns
    -------
    Selection
    """
    size = candidate_size
    blocks = _blocks(X, size, options["affinity"])
    n_batches = -(-X.shape[0] // size)
    offsets = (
        np.full(n_batches, 0.5) if seed is None else np.random.default_rng(seed).random(n_batches)
    )

    def select(block: tuple[int, int, int]) -> tuple[np.ndarray[Any, Any], FiedlerResult]:
        start, count, rows = block
        stack = _stack(X, start, count, rows, options["affinity"])
        try:
            result, graph = solve_with_graph(stack, verbose=verbose and n_batches == 1, **options)
        except NegativeDegreeError as error:
            raise NegativeDegreeError(error.laplacian, error.degree, start + error.row) from None
        first = start // size
        own_offsets = offsets[first : first + count]
        n_kept = k if rows == size else last_k
        result, chosen = _choose(stack, result, graph, rule, n_kept, own_offsets, options)
        chosen = np.sort(chosen, axis=-1) + start + rows * np.arange(count)[:, None]
        return chosen.ravel(), result

    # A single block is also passed to `map_in_threads`, which limits BLAS to one thread, so that
    # no bit of the result depends on the block size.
    alone = is_torch(X) or options["single"]
    parts = []
    with progress_bar(
        n_batches, desc="select", unit="batch", enabled=verbose and n_batches > 1
    ) as bar:
        for indices, result in map(select, blocks) if alone else map_in_threads(select, blocks):
            parts.append((indices, result))
            bar.update(len(result.status))
    results = [result for _, result in parts]
    xp = namespace(results[0].vector)

    def joined(name: str) -> np.ndarray[Any, Any]:
        return np.concatenate([to_numpy(getattr(r, name)) for r in results])

    return Selection(
        indices=np.concatenate([indices for indices, _ in parts]),
        vector=xp.concatenate([r.vector.reshape(-1) for r in results]),
        value=joined("value"),
        gap=joined("gap"),
        error_bound=joined("error_bound"),
        status=joined("status"),
        n_iter=joined("n_iter"),
    )


def _blocks(X: Array, size: int, affinity: str) -> list[tuple[int, int, int]]:
    """Return (first row, number of batches, rows per batch) for each block."""
    n, d = X.shape
    full, rest = divmod(n, size)
    alone = sparse.issparse(X) or affinity != "cosine"
    per_block = 1 if alone else max(1, _BLOCK_ENTRIES // (size * max(d, min(size, 2 * d))))
    blocks = [
        (first * size, min(per_block, full - first), size) for first in range(0, full, per_block)
    ]
    return blocks + ([(full * size, 1, rest)] if rest else [])


def _stack(X: Array, start: int, count: int, rows: int, affinity: str) -> Array:
    """Return the batches of a block as an array of shape (count, rows, ·)."""
    stop = start + count * rows
    part = X[start:stop, start:stop] if affinity == "precomputed" else X[start:stop]
    if sparse.issparse(X):
        return part
    if isinstance(part, WidenedRows):
        if count == 1:
            return part[None]
        part = np.asarray(part)
    return part.reshape(count, rows, part.shape[-1])


def _choose(
    stack: Array,
    result: FiedlerResult,
    graph: Graph,
    rule: str,
    k: int,
    offsets: np.ndarray[Any, Any],
    options: dict[str, Any],
) -> tuple[FiedlerResult, np.ndarray[Any, Any]]:
    """Apply the rule; if float32 cannot decide the selection, decide it in float64.

    The selection depends on the order of the two entries at the cut. If they are closer than the
    batch's roundoff error, float32 cannot decide, and the vector is refined. If refinement cannot
    decide either, for example because rows tie, the batch is solved again in float64.
    """
    chosen, margin = RULES[rule](result.vector, k, offsets)
    chosen = to_numpy(chosen)
    exact = "64" in str(result.vector.dtype) or options["affinity"] != "cosine"
    if exact or stack.shape[-2] > _REFINE_MAX:
        return result, chosen
    stack = np.asarray(stack) if isinstance(stack, WidenedRows) else stack
    open_ = to_numpy(margin) <= 2 * _ENTRY_ERROR * to_numpy(_entry_error(result))
    batches = np.flatnonzero(open_ & (result.status == Status.CONVERGED))
    similarities = _similarities(graph)
    if similarities is not None and options["laplacian"] == "unnormalized":
        batches = _refined(stack, result, similarities, batches, chosen, (rule, k, offsets))
    if len(batches) == 0:
        return result, chosen
    again = stack if sparse.issparse(stack) else stack[batches]  # a sparse stack is a single batch
    solved = solve(astype(again, "float64"), verbose=False, **options)
    chosen[batches] = to_numpy(RULES[rule](solved.vector, k, offsets[batches])[0])
    result.vector[batches] = astype(solved.vector, "float32")
    return result, chosen


def _similarities(graph: Graph) -> DenseGraph | FactoredGraph | None:
    """Return the cosine similarities of a graph if they are in NumPy arrays, else None."""
    if not isinstance(graph, NonnegativeGraph) or is_torch(graph.degrees):
        return None
    found = graph.similarities
    return found if isinstance(found, DenseGraph | FactoredGraph) else None


def _refined(
    stack: Array,
    result: FiedlerResult,
    similarities: DenseGraph | FactoredGraph,
    batches: np.ndarray[Any, Any],
    chosen: np.ndarray[Any, Any],
    rule: tuple[str, int, np.ndarray[Any, Any]],
) -> np.ndarray[Any, Any]:
    """Refine the vectors and selections of `batches` in place; return the undecided batches."""
    name, k, offsets = rule
    undecided = []
    for batch in batches:

        def settles(vector: np.ndarray[Any, Any], bound: float, batch: int = batch) -> bool:
            rows, margin = RULES[name](vector[None], k, offsets[batch : batch + 1])
            chosen[batch] = rows[0]
            # The difference between two entries changes by at most √2 times the vector's error.
            return bool(margin[0] > 1.5 * bound)

        # The gap of D − S is twice that of the graph with the weights (1 + S)/2.
        vector, gap = result.vector[batch], 2 * float(result.gap[batch])
        refined = refine(stack[batch], similarities, batch, vector, gap, settles)
        if refined is None:
            undecided.append(batch)
        else:
            result.vector[batch] = refined
    return np.array(undecided, np.int64)


def _entry_error(result: FiedlerResult) -> Array:
    """Estimate the error of the entries in each batch from its error bound."""
    # The bound allows 8·eps·‖L‖ for roundoff; in practice, roundoff is about eps·‖L‖.
    xp = namespace(result.gap)
    infinite = ~xp.isfinite(result.gap)
    gap = xp.where(infinite | (result.gap <= 0), xp.ones_like(result.gap), result.gap)
    rounding = (result.error_bound * gap - result.residual) / 8
    estimate = (result.residual + rounding) / gap
    return xp.where(infinite, xp.zeros_like(estimate), estimate)
