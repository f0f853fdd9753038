import copy
from io import BytesIO

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose
from PIL import Image
from report_helpers import groups, results

from spectral_select.integrations.report import Results, draw_curves
from spectral_select.integrations.report.figures.accuracy_dots import draw_final_accuracy
from spectral_select.integrations.report.figures.cost_bars import draw_costs
from spectral_select.integrations.report.figures.curves import (
    draw_against_time,
    draw_by_epoch,
    draw_method,
)
from spectral_select.integrations.report.figures.last_layer import draw_weights, read_last_layer
from spectral_select.integrations.report.figures.selected_batches import draw_batch, read_batches


@pytest.fixture
def saved(monkeypatch):
    """The matplotlib figures that a test saves."""
    figures, save = [], Figure.savefig

    def record(figure, *args, **options):
        save(figure, *args, **options)
        figures.append(figure)

    monkeypatch.setattr(Figure, "savefig", record)
    return figures


def lines(axis):
    """Return the labeled lines of an axis as label: (x, y)."""
    return {
        line.get_label(): (line.get_xdata(), line.get_ydata())
        for line in axis.get_lines()
        if not line.get_label().startswith("_")
    }


def legend(figure):
    (box,) = figure.legends
    return [text.get_text() for text in box.get_texts()]


def group(**options):
    return groups(results(**options))[0]


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_overview_plots_the_results(tmp_path, saved, seeds):
    content = Results.from_json(results(seeds=seeds))
    before = copy.deepcopy(content)
    draw_curves(content, tmp_path / "curves.png")
    assert [file.name for file in tmp_path.iterdir()] == ["curves.png"]
    assert content == before
    (figure,) = saved
    accuracy, by_time, loss, batch_loss = (lines(axis) for axis in figure.axes)
    methods = ["full", "random", "fiedler"]
    assert [list(panel) for panel in (accuracy, by_time, loss, batch_loss)] == [methods] * 4
    assert legend(figure) == methods
    assert_allclose(accuracy["random"], [[1, 2], 50 + np.mean(seeds) + np.array([0, 10])])
    assert_allclose(loss["random"][1], [1.5, 0.5])
    assert_allclose(batch_loss["random"][1], [2, 1])
    assert_allclose(by_time["random"][0], [2, 6])
    assert_allclose(by_time["fiedler"][0], [33 + 2.5, 33 + 7.5])  # after feature extraction
    n_bands = 0 if len(seeds) == 1 else len(methods)
    assert [len(axis.collections) for axis in figure.axes] == [n_bands] * 4
    assert figure.axes[1].get_xlabel() == "training time (s), including feature extraction"


def test_overview_skips_epochs_that_were_not_evaluated(tmp_path, saved):
    content = results(epochs=3)
    for run in content["runs"]:
        run["history"][1]["loss"] = None
        run["history"][1]["test"] = {"count": 0, "accuracy": None, "loss": None}
    content["runs"][2]["history"].pop()
    content["features"]["seconds"] = None
    draw_curves(Results.from_json(content), tmp_path / "curves.png")
    axes = saved[0].axes
    assert_allclose(lines(axes[0])["full"], [[1, 3], [50, 70]])
    assert_allclose(lines(axes[3])["fiedler"], [[1], [2]])
    assert axes[1].get_xlabel().endswith("excluding feature extraction (unknown)")


@pytest.mark.parametrize(("quantity", "ends"), [("accuracy", [51, 61]), ("loss", [1.5, 0.5])])
def test_curves_of_all_methods(saved, quantity, ends):
    picture = draw_by_epoch(group(seeds=(0, 2)), "1", quantity)
    (axis,) = saved[0].axes
    assert legend(saved[0]) == ["full", "random", "fiedler"]
    for x, y in lines(axis).values():
        assert_allclose([x, y], [[1, 2], ends])
    assert axis.get_yscale() == ("log" if quantity == "loss" else "linear")
    assert picture.name == f"1-test-{quantity}.png"
    assert "fiedler" in picture.alt


def test_accuracy_against_time_charges_all_costs(saved):
    picture = draw_against_time(group(methods=("full", "jest"), seeds=(0, 2)), "1")
    (axis,) = saved[0].axes
    assert_allclose(lines(axis)["jest"][0], [80 + 5, 80 + 15])
    (full, _, _), (jest, _, (bar,)) = (c.lines for c in axis.containers)
    assert_allclose([*full.get_xdata(), *full.get_ydata()], [30, 61])
    assert_allclose([*jest.get_xdata(), *jest.get_ydata()], [95, 61])
    (low, high) = bar.get_segments()[0][:, 1]
    assert high - low == pytest.approx(2 * 12.706, abs=1e-3)
    assert "jest 61.0 ± 12.7% after 95 s" in picture.alt


def test_curves_of_one_method(saved):
    picture = draw_method(group(), "fiedler", "1-fiedler", "accuracy", 2)
    (axis,) = saved[0].axes
    drawn = lines(axis)
    assert list(drawn) == ["training batches", "validation"]
    assert_allclose([y for _, y in drawn.values()], [[40, 40], [50, 60]])
    assert "training batches 40, validation 60" in picture.alt
    assert picture.caption.endswith("(compare the paper’s figure 2).")


def test_curves_of_one_method_without_validation_images(saved):
    content = results(methods=("full",))
    for epoch in content["runs"][0]["history"]:
        epoch["val"] = {"count": 0, "accuracy": None, "loss": None}
    draw_method(groups(content)[0], "full", "1-full", "loss", None)
    assert list(lines(saved[0].axes[0])) == ["training batches", "test"]


def test_final_accuracy_shows_every_seed(saved):
    draw_final_accuracy(group(methods=("full", "random"), seeds=(0, 2)), "1")
    (axis,) = saved[0].axes
    assert [text.get_text() for text in axis.get_yticklabels()] == ["full", "random"]
    rings = [line for line in axis.get_lines() if line.get_markerfacecolor() == "none"]
    assert [sorted(ring.get_xdata()) for ring in rings] == [pytest.approx([60, 62])] * 2
    means = [container.lines[0].get_xdata()[0] for container in axis.containers]
    assert means == pytest.approx([61, 61])
    low, high = axis.get_xlim()
    assert 50 < low < 60
    assert 62 < high < 72


def test_cost_bars_add_up_to_the_total_cost(saved):
    picture = draw_costs(group(methods=("full", "fiedler", "jest")), "1")
    (axis,) = saved[0].axes
    widths = {bars.get_label(): [bar.get_width() for bar in bars] for bars in axis.containers}
    assert widths["features"] == [0, 33, 0]
    assert widths["reference model"] == [0, 0, 80]
    assert widths["selection wait"] == pytest.approx([0.2] * 3)
    assert np.sum(list(widths.values()), axis=0) == pytest.approx([30, 40.5, 95])
    assert legend(saved[0]) == list(widths)
    assert "fiedler 40.5 s" in picture.alt


def test_cost_bars_name_unknown_costs(saved):
    content = results(methods=("full", "fiedler"))
    content["features"]["seconds"] = None
    picture = draw_costs(groups(content)[0], "1")
    assert "features" not in legend(saved[0])
    assert "Some costs are unknown for fiedler." in picture.caption


def arrays(n=6):
    rng = np.random.default_rng(0)
    return {
        "images_0": rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8),
        "kept_0": np.arange(n) < 2,
        "labels_0": np.arange(n) % 3,
        "indices_0": np.arange(n),
    }


def test_kept_images_are_framed_and_others_faded(tmp_path):
    np.savez(tmp_path / "g.npz", **arrays())
    (batch,) = read_batches(tmp_path / "g.npz")
    (run,) = group(methods=("fiedler",), seeds=(3,)).runs["fiedler"]
    picture = draw_batch(batch, run, "1-fiedler", 7)
    assert "fiedler, seed 3" in picture.caption
    assert "2 of 6 kept, from 2 of 3 classes" in picture.caption
    pixels = np.asarray(Image.open(BytesIO(picture.png)).convert("RGB"), dtype=int)
    pitch = (pixels.shape[1] + 4) // 6
    means = [pixels[4:64, k * pitch + 4 : k * pitch + 64].mean() for k in range(6)]
    assert max(means[:2]) < min(means[2:])  # discarded images are faded toward white
    corners = [tuple(pixels[1, k * pitch + 1]) for k in range(6)]
    assert corners == [(0, 114, 178)] * 2 + [(255, 255, 255)] * 4


@pytest.mark.parametrize(
    "change",
    [
        {"kept_0": np.arange(6)},
        {"images_0": np.zeros((5, 8, 8, 3), np.uint8)},
        {"images_0": np.zeros((6, 8, 8, 3))},
        {"labels_0": np.zeros(6)},
        {"indices_0": np.zeros((6, 1), int)},
    ],
)
def test_rejects_batches_of_another_shape(tmp_path, change):
    np.savez(tmp_path / "g.npz", **arrays() | change)
    with pytest.raises(ValueError, match="does not contain valid thumbnails for batch 0"):
        read_batches(tmp_path / "g.npz")


def test_rejects_incomplete_batches(tmp_path):
    incomplete = arrays()
    del incomplete["labels_0"]
    np.savez(tmp_path / "g.npz", **incomplete)
    with pytest.raises(ValueError, match="lacks labels_0"):
        read_batches(tmp_path / "g.npz")
    np.savez(tmp_path / "g.npz", weight=np.ones(2))
    with pytest.raises(ValueError, match="does not contain a batch"):
        read_batches(tmp_path / "g.npz")


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(3), "does not contain a weight matrix"),
        (np.ones((2, 2), int), "does not contain a weight matrix"),
        (np.full((2, 2), np.nan), "diverged"),
    ],
)
def test_rejects_invalid_weights(tmp_path, weight, message):
    np.savez(tmp_path / "w.npz", weight=weight, bias=np.ones(2), name=np.array("fc"))
    with pytest.raises(ValueError, match=message):
        read_last_layer(tmp_path / "w.npz")


def last_layer(folder, weight):
    np.savez(folder / "w.npz", weight=weight, bias=np.empty(0), name=np.array("fc"))
    return read_last_layer(folder / "w.npz")


def test_weights_of_all_methods_share_their_scales(tmp_path, saved):
    weights = [scale * np.linspace(-1, 1, 8).reshape(2, 4) for scale in (1.0, 3.0)]
    layers = {f"m{i}": last_layer(tmp_path, weight) for i, weight in enumerate(weights)}
    pictures = draw_weights(layers, "1")
    assert [picture.name for picture in pictures] == [
        "1-m0-heat-map.png",
        "1-m0-histogram.png",
        "1-m1-heat-map.png",
        "1-m1-histogram.png",
    ]
    maps = [figure.axes[0].get_images()[0] for figure in saved[::2]]
    for image, weight in zip(maps, weights, strict=True):
        assert_allclose(image.get_array(), weight)
    assert maps[0].get_clim() == maps[1].get_clim()
    histograms = [figure.axes[0].patches for figure in saved[1::2]]
    assert [sum(bar.get_height() for bar in bars) for bars in histograms] == [8, 8]
    edges = [[bar.get_x() for bar in bars] for bars in histograms]
    assert edges[0] == edges[1]
    assert edges[0][0] == -3


def test_draws_zero_weights(tmp_path, saved):
    heat_map, _ = draw_weights({"full": last_layer(tmp_path, np.zeros((2, 4)))}, "1")
    assert "2 × 4 weights of layer fc" in heat_map.alt
    assert saved[0].axes[0].get_images()[0].get_clim() == (-1, 1)
    assert sum(bar.get_height() for bar in saved[1].axes[0].patches) == 8
