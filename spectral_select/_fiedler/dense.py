"""The lowest non-trivial eigenpairs of small Laplacians, by LAPACK."""

import numpy as np
from scipy.linalg import LinAlgError
from scipy.linalg.lapack import dsyevr, ssyevr

from spectral_select._fiedler.graph import DenseGraph, Graph, NonnegativeGraph
from spectral_select._fiedler.laplacian import LaplacianOperator
from spectral_select._utils.array_namespace import Array, arange, is_torch, namespace
from spectral_select._utils.threads import one_blas_thread

__all__ = ["STACK_MAX", "dense_pairs"]

# Up to this order, computing all eigenvectors of a stack takes as long as computing two per
# matrix. Above it, torch.linalg.eigh becomes a sequential loop on CUDA.
STACK_MAX = 32


def dense_pairs(operator: LaplacianOperator) -> tuple[Array, Array, Array]:
    """Return the two lowest eigenvalues, the eigenvector of the first, and both residual norms.

    The trivial eigenvalue is not among them, because it is raised above the others beforehand.
    """
    matrix = _dense_matrix(operator)
    a, null = operator.diagonal, operator.null
    xp = namespace(a)
    lift = 4.0 * xp.amax(xp.abs(a), -1)[:, None, None]
    lift = xp.where(lift > 0, lift, xp.ones_like(lift))
    lifted = matrix + lift * null[:, :, None] * null[:, None, :]
    if not is_torch(a) and lifted.shape[-1] > STACK_MAX:  # one batch
        # SciPy's and NumPy's BLAS each have threads that spin while idle. With few cores,
        # the threads of one stall the other for milliseconds.
        with one_blas_thread():
            values, vectors = _two_lowest(lifted[0])
        values, vectors = values[None], vectors[None]
    else:
        values, vectors = xp.linalg.eigh(lifted)
    two = vectors[:, :, :2].swapaxes(-1, -2)
    # Project out what roundoff left of the trivial vector.
    two = two - (two * null[:, None]).sum(-1)[..., None] * null[:, None]
    two = two / xp.sqrt((two * two).sum(-1))[..., None] if lifted.shape[-1] > 2 else two
    values = values[:, :2]
    residual = two @ matrix - values[..., None] * two
    return values, two[:, 0], xp.sqrt((residual * residual).sum(-1))


def _dense_matrix(operator: LaplacianOperator) -> Array:
    """Return A as a stack of dense matrices."""
    a = operator.diagonal
    matrix = _scaled(_weights(operator.graph), operator.transform)
    matrix = -matrix
    index = arange(a.shape[-1], a)
    matrix[:, index, index] += a
    return matrix


def _weights(graph: Graph) -> Array:
    """Return the affinity of each graph as a dense matrix, possibly the graph's own array."""
    if isinstance(graph, NonnegativeGraph):
        return (1 + _weights(graph.similarities)) / 2
    if isinstance(graph, DenseGraph):
        return _scaled(graph.matrix, graph.scale)
    a = graph.degrees
    index = arange(a.shape[-1], a)
    identity = namespace(a).zeros_like(a)[:, None] + namespace(a).zeros_like(a)[..., None]
    identity[:, index, index] = 1
    return graph.dot(identity)


def _scaled(matrix: Array, scale: Array | None) -> Array:
    return matrix if scale is None else scale[:, :, None] * matrix * scale[:, None, :]


def _two_lowest(matrix: Array) -> tuple[Array, Array]:
    """Return the two lowest eigenvalues of a symmetric matrix and their vectors.

    Equivalent to `scipy.linalg.eigh` with ``subset_by_index=[0, 1]``, without its overhead.
    """
    syevr = ssyevr if matrix.dtype == np.float32 else dsyevr
    # The transpose is the same matrix in Fortran order.
    values, vectors, _, _, info = syevr(matrix.T, range="I", il=1, iu=2, overwrite_a=True)
    if info != 0:
        raise LinAlgError(f"LAPACK's syevr failed with info={info}")
    return values[:2], vectors
