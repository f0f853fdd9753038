"""Installs of the wheel as users make them: without torch, with torch, and with types.

The core is really installed, from pip's configured package index. torch is
borrowed from the running interpreter; `make test-slow` really installs torch, too.
"""

import site
import sys

import numpy as np
import pytest
from package_helpers import Environment, build_wheel, copy_source, run

from spectral_select import __version__

pytestmark = pytest.mark.xdist_group("install")  # one process, so that the core is installed once

CORE = """
import importlib.util
import numpy as np
import spectral_select
assert "site-packages" in spectral_select.__file__
for absent in ("torch", "torchvision", "matplotlib", "tqdm", "integrations", "tests", "docs"):
    assert importlib.util.find_spec(absent) is None, absent
X = np.random.default_rng(0).standard_normal((200, 8))
selector = spectral_select.FiedlerBatchSelector(filter_ratio=0.8, candidate_size=50)
print(selector.fit_transform(X).shape)
for name in spectral_select.__all__:
    try:
        getattr(spectral_select, name)
    except ModuleNotFoundError as error:
        print(error)
"""

# Unused ignores are errors, so if the package were untyped, the last lines would be errors.
TYPED = """
import numpy as np
from spectral_select import FiedlerBatchSelector, FiedlerResult, fiedler_vector, n_kept

X = np.random.default_rng(0).standard_normal((10, 3))
result: FiedlerResult = fiedler_vector(X)
selector: FiedlerBatchSelector = FiedlerBatchSelector(filter_ratio=0.5).fit(X)
kept: int = n_kept(len(X), 0.5)
n_kept("10", 0.5)  # type: ignore[arg-type]
FiedlerBatchSelector(ratio=0.5)  # type: ignore[call-arg]
"""

WITH_TORCH = """
import importlib
import pkgutil
import numpy as np
import torch
from torch.utils.data import DataLoader, RandomSampler, TensorDataset
import spectral_select
assert spectral_select.__file__.startswith(PACKAGES), spectral_select.__file__
X = np.random.default_rng(0).standard_normal((100, 8))
dataset = TensorDataset(torch.from_numpy(X))
batches = spectral_select.SpectralBatchSampler(RandomSampler(dataset), 4, features=X)
print([len(rows) for (rows,) in DataLoader(dataset, batch_sampler=batches)])
for module in pkgutil.walk_packages(spectral_select.__path__, "spectral_select."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        print(error)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    return build_wheel(copy_source(folder), folder)


@pytest.fixture(scope="module")
def core(wheel, tmp_path_factory):
    """An environment with the wheel installed, without extras."""
    environment = Environment(tmp_path_factory.mktemp("core"))
    environment.pip_install(wheel)
    return environment


def test_core_works_without_torch_and_names_the_extra(core):
    printed = core.run("python", "-W", "error", "-c", CORE).splitlines()
    assert printed == ["(40, 8)"] + [
        f"spectral_select.{name} needs the package torch, which is not installed: "
        "pip install 'spectral_select[torch]'"
        for name in (
            "ClassBalancedSampler",
            "GuidedSampler",
            "SelectionTimings",
            "SpectralBatchSampler",
            "WeightedDataset",
        )
    ]


def test_command_works_without_torch_and_names_the_extra(core, tmp_path):
    assert core.run("spectral-select", "--version") == f"spectral-select {__version__}\n"
    np.save(tmp_path / "features.npy", np.random.default_rng(0).standard_normal((60, 5)))
    indices = core.run("spectral-select", "select", tmp_path / "features.npy")
    assert len(indices.split()) == 12
    for command in ("extract", "train"):
        assert command in core.run("spectral-select", command, "--help")
        lines = core.run(
            "spectral-select", command, "digits", "--out", "out", status=2
        ).splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("spectral-select: error: this needs the package torch")
        assert lines[0].endswith("pip install 'spectral_select[torch]'")


def test_type_checker_sees_the_types_of_the_installed_package(core, tmp_path):
    (tmp_path / "script.py").write_text(TYPED, encoding="utf-8")
    run(sys.executable, "-m", "mypy", "--strict", "--python-executable", core.python,
        "--cache-dir", tmp_path / "cache", "script.py", cwd=tmp_path)  # fmt: skip


def check_with_torch(environment):
    script = WITH_TORCH.replace("PACKAGES", repr(str(environment.packages)))
    lines = environment.run("python", "-c", script).splitlines()
    assert lines[0] == str([4] * 5)
    return lines[1:]


def test_every_module_of_the_wheel_imports_with_torch(wheel, tmp_path):
    environment = Environment(tmp_path / "torch")
    environment.pip_install("--no-deps", wheel)
    borrowed = environment.packages / "borrowed.pth"
    borrowed.write_text("\n".join(site.getsitepackages()), encoding="utf-8")
    assert check_with_torch(environment) == []


@pytest.mark.slow
def test_extras_install_what_the_comparison_needs(wheel, tmp_path):
    environment = Environment(tmp_path / "torch")
    environment.pip_install(f"{wheel}[torch,report]")
    assert check_with_torch(environment) == [
        "spectral_select.integrations.ray needs the package ray, which is not installed: "
        "pip install 'spectral_select[ray]'"
    ]
    environment.run("spectral-select", "train", "digits", "--epochs", "1", "--out", "run")
    assert (environment.folder / "run" / "curves.png").is_file()
