"""The last layer's weights: heat map and histogram (the paper's figures 9 and 10)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select.integrations.records.run_files import read_arrays
from spectral_select.integrations.report.figures.drawing import Picture, new_figure, tidy, to_png

__all__ = ["LastLayer", "draw_weights", "read_last_layer"]


@dataclass(frozen=True)
class LastLayer:
    """The last layer of a trained network.

    Attributes
    ----------
    name : str
        Its name in the network.
    weight : ndarray of shape (n_classes, d)
        Weights.
    bias : ndarray of shape (n_classes,)
        Biases; empty if it has none.
    """

    name: str
    weight: NDArray[np.floating[Any]]
    bias: NDArray[np.floating[Any]]


def read_last_layer(path: Path) -> LastLayer:
    """Return the last layer that `training.artifacts.save_last_layer` wrote.

    Raises
    ------
    ValueError
        If the file holds something else, or weights that are not finite.
    """
    arrays = read_arrays(path)
    weight, bias, name = (arrays.get(key) for key in ("weight", "bias", "name"))
    if weight is None or bias is None or name is None:
        raise ValueError(f"{path.name} holds no last layer")
    if weight.ndim != 2 or not weight.size or weight.dtype.kind != "f" or bias.dtype.kind != "f":
        raise ValueError(f"{path.name} holds no matrix of weights")
    if not np.isfinite(weight).all():
        raise ValueError(f"{path.name} holds weights that are not finite: training diverged")
    return LastLayer(str(name), weight, bias)


def draw_weights(layers: Mapping[str, LastLayer], prefixes: Mapping[str, str]) -> list[Picture]:
    """Draw heat map and histogram of each method's last layer, all to the same scales.

    Parameters
    ----------
    layers : dict of str to LastLayer
        By method.
    prefixes : dict of str to str
        Beginnings of the file names, by method.

    Returns
    -------
    list of Picture
        Two a method.
    """
    sizes = np.concatenate([np.abs(layer.weight).ravel() for layer in layers.values()])
    widest = float(sizes.max()) or 1.0
    # A few large weights would leave the rest of the map without color.
    limit = float(np.quantile(sizes, 0.995)) or widest
    pictures = []
    for method, layer in layers.items():
        pictures += [
            _heat_map(method, layer, limit, prefixes[method]),
            _histogram(method, layer, widest, prefixes[method]),
        ]
    return pictures


def _heat_map(method: str, layer: LastLayer, limit: float, prefix: str) -> Picture:
    figure = new_figure(5.0, 3.2)
    axis = figure.subplots()
    # Blue and red tell signs apart for every reader, as green and red would not.
    drawn = axis.imshow(layer.weight, aspect="auto", cmap="RdBu_r", vmin=-limit, vmax=limit)
    figure.colorbar(drawn, ax=axis, extend="both", label="weight")
    axis.set(xlabel="feature", ylabel="class")
    axis.yaxis.get_major_locator().set_params(integer=True)
    n_classes, d = layer.weight.shape
    return Picture(
        f"{prefix}-heat-map.png",
        to_png(figure, dpi=120),
        f"Heat map of the {n_classes} × {d} weights of layer {layer.name} after training by "
        f"{method}; the largest has size {np.abs(layer.weight).max():.3g}.",
        f"{method}: weights of the last layer, {n_classes} classes × {d} features "
        "(as the paper's figure 9).",
    )


def _histogram(method: str, layer: LastLayer, widest: float, prefix: str) -> Picture:
    figure = new_figure(5.0, 3.2)
    axis = figure.subplots()
    bins = np.linspace(-widest, widest, 82)
    axis.hist(layer.weight.ravel(), bins=bins, color="#0072b2")
    axis.set(xlabel="weight", ylabel="number of weights")
    tidy([axis])
    spread = f"mean {layer.weight.mean():.2g}, standard deviation {layer.weight.std():.2g}"
    return Picture(
        f"{prefix}-histogram.png",
        to_png(figure),
        f"Histogram of the weights of the last layer after training by {method}: {spread}.",
        f"{method}: distribution of these weights, {spread} (as the paper's figure 10).",
    )
