"""Heat map and histogram of the last layer's weights (like the paper's figures 9 and 10)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_select.integrations.records.run_files import read_arrays, slug
from spectral_select.integrations.report.figures.drawing import Picture, new_figure, tidy, to_png

__all__ = ["LastLayer", "draw_weights", "read_last_layer"]


@dataclass(frozen=True)
class LastLayer:
    """The last layer of a trained network.

    Attributes
    ----------
    name : str
        Name of the layer in the model.
    weight : ndarray of shape (n_classes, d)
        Weights.
    bias : ndarray of shape (n_classes,)
        Biases; empty if the layer has no bias.
    """

    name: str
    weight: NDArray[np.floating[Any]]
    bias: NDArray[np.floating[Any]]


def read_last_layer(path: Path) -> LastLayer:
    """Read a last layer written by `training.artifacts.save_last_layer`.

    Raises
    ------
    ValueError
        If the file does not contain a last layer, or contains weights that are not finite.
    """
    arrays = read_arrays(path)
    weight, bias, name = (arrays.get(key) for key in ("weight", "bias", "name"))
    if weight is None or bias is None or name is None:
        raise ValueError(f"{path.name} does not contain a last layer")
    if weight.ndim != 2 or not weight.size or weight.dtype.kind != "f" or bias.dtype.kind != "f":
        raise ValueError(f"{path.name} does not contain a weight matrix")
    if not np.isfinite(weight).all():
        raise ValueError(f"{path.name} contains weights that are not finite: training diverged")
    return LastLayer(str(name), weight, bias)


def draw_weights(layers: Mapping[str, LastLayer], prefix: str) -> list[Picture]:
    """Draw a heat map and a histogram for each method, all on the same scales.

    Parameters
    ----------
    layers : dict of str to LastLayer
        Layers by method.
    prefix : str
        Prefix for the file names.

    Returns
    -------
    list of Picture
        Two figures per method; empty if there are no layers.
    """
    if not layers:
        return []
    sizes = np.concatenate([np.abs(layer.weight).ravel() for layer in layers.values()])
    largest = float(sizes.max()) or 1.0
    # Clip the color scale, because a few large weights would make the rest of the map pale.
    limit = float(np.quantile(sizes, 0.995)) or largest
    pictures = []
    for method, layer in layers.items():
        pictures += [
            _heat_map(method, layer, limit, f"{prefix}-{slug(method)}"),
            _histogram(method, layer, largest, f"{prefix}-{slug(method)}"),
        ]
    return pictures


def _heat_map(method: str, layer: LastLayer, limit: float, prefix: str) -> Picture:
    figure = new_figure(5.0, 3.2)
    axis = figure.subplots()
    # Blue and red are distinguishable with any color vision, unlike green and red.
    image = axis.imshow(layer.weight, aspect="auto", cmap="RdBu_r", vmin=-limit, vmax=limit)
    figure.colorbar(image, ax=axis, extend="both", label="weight")
    axis.set(xlabel="feature", ylabel="class")
    axis.yaxis.get_major_locator().set_params(integer=True)
    n_classes, d = layer.weight.shape
    return Picture(
        f"{prefix}-heat-map.png",
        to_png(figure, dpi=120),
        f"Heat map of the {n_classes} × {d} weights of layer {layer.name} after training with "
        f"{method}; the largest absolute value is {np.abs(layer.weight).max():.3g}.",
        f"{method}: weights of the last layer, {n_classes} classes × {d} features "
        "(compare the paper’s figure 9).",
    )


def _histogram(method: str, layer: LastLayer, largest: float, prefix: str) -> Picture:
    figure = new_figure(5.0, 3.2)
    axis = figure.subplots()
    bins = np.linspace(-largest, largest, 82)
    axis.hist(layer.weight.ravel(), bins=bins, color="#0072b2")
    axis.set(xlabel="weight", ylabel="number of weights")
    tidy([axis])
    spread = f"mean {layer.weight.mean():.2g}, standard deviation {layer.weight.std():.2g}"
    return Picture(
        f"{prefix}-histogram.png",
        to_png(figure),
        f"Histogram of the last layer's weights after training with {method}: {spread}.",
        f"{method}: distribution of the last layer's weights, {spread} "
        "(compare the paper’s figure 10).",
    )
