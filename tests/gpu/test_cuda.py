"""Tests that need a GPU: run `make test-gpu` on a machine that has one."""

import numpy as np
import pytest
import torch
from oracle import algorithm_1
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from spectral_select import FiedlerBatchSelector, SpectralBatchSampler, fiedler_vector
from spectral_select._cli.main import main
from spectral_select.integrations.data.datasets import load_dataset
from spectral_select.integrations.methods import method_names
from spectral_select.integrations.models.backbones import build_backbone
from spectral_select.integrations.models.embedding_extraction import extract_embeddings
from spectral_select.integrations.records.results import read_results

pytestmark = pytest.mark.gpu

SIZES = [(40, 8), (128, 2048), (512, 64), (1000, 300)]
TRAIN = ["--epochs=2", "--train-size=320", "--candidate-size=80", "--no-progress", "--device=cuda"]


def clusters(n, d, seed=0):
    rng = np.random.default_rng(seed)
    centers = np.abs(rng.standard_normal((10, d)))
    return np.abs(rng.standard_normal((n, d)) / 2 + centers[rng.integers(10, size=n)])


@pytest.mark.parametrize("laplacian", ["unnormalized", "symmetric", "random_walk"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "d"), SIZES)
def test_fiedler_vector_agrees_with_the_cpu(n, d, dtype, laplacian):
    X = torch.tensor(clusters(n, d), dtype=dtype)
    on_gpu = fiedler_vector(X.cuda(), laplacian=laplacian)
    assert on_gpu.vector.device.type == "cuda"
    on_cpu = fiedler_vector(X.double(), laplacian=laplacian)
    vector = on_gpu.vector.cpu().double()
    sine = torch.linalg.norm(vector - (vector @ on_cpu.vector) * on_cpu.vector)
    assert float(sine) <= 2 * float(on_gpu.error_bound) + 1e-6


def test_stacked_batches_agree_with_single_batches():
    X = torch.tensor(np.stack([clusters(96, 128, seed) for seed in range(32)])).float().cuda()
    together = fiedler_vector(X)
    for i in range(0, 32, 7):
        alone = fiedler_vector(X[i])
        assert abs(float(alone.vector @ together.vector[i])) > 1 - 1e-5


@pytest.mark.parametrize(("n", "d"), SIZES)
def test_selector_keeps_what_algorithm_1_keeps(n, d):
    X = clusters(n, d)
    selector = FiedlerBatchSelector().fit(torch.tensor(X, dtype=torch.float32).cuda())
    expected, _ = algorithm_1(X.astype(np.float32), n // 5)
    assert set(selector.get_support(indices=True).tolist()) == expected


@pytest.mark.parametrize("prefetch", [0, 2])
def test_sampler_yields_the_batches_of_the_cpu(prefetch):
    X = torch.tensor(clusters(640, 64), dtype=torch.float32)
    dataset = TensorDataset(X)
    batches = []
    for features in (X, X.cuda()):
        generator = torch.Generator().manual_seed(0)
        sampler = SpectralBatchSampler(
            RandomSampler(dataset, generator=generator), 16, features=features, prefetch=prefetch
        )
        loader = DataLoader(dataset, batch_sampler=sampler)
        batches.append([rows for (rows,) in loader])
    assert len(batches[0]) == len(batches[1]) == 8
    assert all(torch.equal(a, b) for a, b in zip(*batches, strict=True))


def test_extraction_agrees_with_the_cpu(tmp_path):
    dataset = load_dataset("digits").val
    network, transform, _ = build_backbone("resnet18", "random", image_size=64)
    stores = [
        extract_embeddings(
            dataset,
            network,
            tmp_path / device,
            transform=transform,
            device=device,
            precision="float32",
        )
        for device in ("cpu", "cuda")
    ]
    on_cpu, on_gpu = (np.asarray(store.features, np.float64) for store in stores)
    assert np.linalg.norm(on_gpu - on_cpu) < 5e-3 * np.linalg.norm(on_cpu)


# torch.compile itself uses deprecated functions of torch.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
@pytest.mark.parametrize("options", [[], ["--amp"], ["--amp", "--compile"], ["--no-channels-last"]])
def test_training_learns_in_every_mode(tmp_path, options):
    methods = ["full", "random", "fiedler"]
    out = tmp_path / "run"
    more = ["--train-size=1024", "--epochs=6", "--candidate-size=128", *options]
    assert main(["train", "digits", "--out", str(out), *TRAIN, *more, "--methods", *methods]) == 0
    results = read_results(out)
    assert results.hardware["gpu"] == torch.cuda.get_device_name()
    losses = [run.history[-1].loss / run.history[0].loss for run in results.runs]
    assert losses[0] < 0.5
    assert all(run.complete for run in results.runs)


def test_every_method_trains(tmp_path):
    out = tmp_path / "run"
    assert main(["train", "digits", "--out", str(out), *TRAIN, "--methods", *method_names()]) == 0
    runs = read_results(out).runs
    assert [run.method for run in runs] == list(method_names())
    assert all(run.complete and np.isfinite(run.history[-1].loss) for run in runs)


def test_interrupted_run_resumes(tmp_path, monkeypatch):
    from spectral_select.integrations.training import comparison

    out = tmp_path / "run"
    arguments = [
        "train",
        "digits",
        *TRAIN,
        "--methods",
        "fiedler",
        "guided",
        "--checkpoint-every=1",
    ]
    calls = []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return evaluate(*args, **kwargs)

    evaluate = comparison.evaluate
    monkeypatch.setattr(comparison, "evaluate", interrupted)
    assert main([*arguments, "--out", str(out)]) == 130
    monkeypatch.undo()
    assert main([*arguments, "--out", str(out), "--resume"]) == 0
    assert all(run.complete and len(run.history) == 2 for run in read_results(out).runs)
