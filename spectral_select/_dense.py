"""The lowest non-trivial eigenpairs of small Laplacians, by LAPACK."""

from scipy.linalg import eigh

from ._graph import DenseGraph, LaplacianOperator
from ._namespace import Array, arange, is_torch, namespace
from ._threads import one_blas_thread

__all__ = ["STACK_MAX", "dense_pairs"]

# Up to this order all eigenvectors of a stack are as quick as two of each matrix; above it
# torch.linalg.eigh turns into a sequential loop on CUDA.
STACK_MAX = 32


def dense_pairs(operator: LaplacianOperator) -> tuple[Array, Array, Array]:
    """Return the two lowest pairs by LAPACK, the trivial one lifted out of the way."""
    matrix = _dense_matrix(operator)
    a, null = operator.diagonal, operator.null
    xp = namespace(a)
    lift = 4.0 * xp.amax(xp.abs(a), -1)[:, None, None]
    lift = xp.where(lift > 0, lift, xp.ones_like(lift))
    lifted = matrix + lift * null[:, :, None] * null[:, None, :]
    if not is_torch(a) and lifted.shape[-1] > STACK_MAX:  # one batch
        # SciPy's BLAS and NumPy's each keep threads that wait busily for work: on few
        # cores those of one stall the other for milliseconds.
        with one_blas_thread():
            values, vectors = eigh(
                lifted[0], subset_by_index=[0, 1], check_finite=False, overwrite_a=True
            )
        values, vectors = values[None], vectors[None]
    else:
        values, vectors = xp.linalg.eigh(lifted)
    two = vectors[:, :, :2].swapaxes(-1, -2)
    # Take what rounding left of the trivial vector out again.
    two = two - (two * null[:, None]).sum(-1)[..., None] * null[:, None]
    two = two / xp.sqrt((two * two).sum(-1))[..., None] if lifted.shape[-1] > 2 else two
    values = values[:, :2]
    residual = two @ matrix - values[..., None] * two
    return values, two[:, 0], xp.sqrt((residual * residual).sum(-1))


def _dense_matrix(operator: LaplacianOperator) -> Array:
    """Return A as a stack of dense matrices."""
    graph, a = operator.graph, operator.diagonal
    xp = namespace(a)
    index = arange(a.shape[-1], a)
    if isinstance(graph, DenseGraph):
        matrix = graph.matrix
        for scale in (graph.scale, operator.transform):
            if scale is not None:
                matrix = scale[:, :, None] * matrix * scale[:, None, :]
        matrix = -matrix
    else:
        identity = xp.zeros_like(a)[:, None] + xp.zeros_like(a)[..., None]
        identity[:, index, index] = 1
        matrix = -operator.affinity_dot(identity)
    matrix[:, index, index] += a
    return matrix
