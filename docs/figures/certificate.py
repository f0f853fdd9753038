"""The smallest eigenvalues of two Laplacians: one with a gap, one without."""

import matplotlib.pyplot as plt
import numpy as np
from _style import digits_batch

from spectral_select import fiedler_vector

good, _ = digits_batch(120)
bad = np.repeat(np.eye(6), 20, axis=0)  # six groups of equal rows: no gap

figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for axis, X, title in (
    (axes[0], good, "120 digits"),
    (axes[1], bad, "six groups of 20 equal rows"),
):
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    W = (1 + unit @ unit.T) / 2
    eigenvalues = np.linalg.eigvalsh(np.diag(W.sum(1)) - W)[:10]
    result = fiedler_vector(X)
    axis.plot(range(1, 11), eigenvalues, "o", color="0.6")
    axis.plot(2, result.value, "o", color="C3", label="Fiedler value")
    axis.axhspan(result.value, eigenvalues[2], color="C3", alpha=0.15, label="gap")
    axis.set(title=f"{title}: {result.status.name}", xlabel="index of the eigenvalue")
    axis.set(ylabel="eigenvalue", ylim=(-0.05 * eigenvalues.max() - 1, None))
axes[0].legend(loc="lower right", frameon=False)
