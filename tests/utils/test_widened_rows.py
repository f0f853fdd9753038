"""Large arrays of narrow dtypes are widened in parts, with the same results as in one piece."""

import subprocess
import sys
from unittest import mock

import numpy as np
import pytest

from spectral_select import (
    FiedlerBatchSelector,
    GuidedBatchSelector,
    fiedler_vector,
    find_wrong_labels,
)
from spectral_select._cli.main import main
from spectral_select._fiedler import solve
from spectral_select._utils import widened_rows
from spectral_select._utils.widened_rows import WidenedRows, map_beneath, widened

DTYPES = ["float16", "int8", "uint8", "int16", "bool", "int64"]
N, D = 300, 6
Y = np.arange(N) % 3


def numbers(dtype, n=N):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2, (n, D)) if dtype == "bool" else rng.integers(-128, 128, (n, D))
    X[:, 0] = 1  # so that no row is zero
    return X.astype(dtype)


def in_parts():
    """Return a context in which every array counts as large."""
    return mock.patch.multiple(widened_rows, _LARGE_BYTES=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_parts_are_those_of_the_widened_array(dtype):
    X = numbers(dtype)
    with in_parts():
        rows = widened(X)
    whole = X.astype("float32" if dtype == "float16" else "float64")
    order = np.random.default_rng(1).permutation(N)
    for found, expected in (
        (rows, whole),
        (rows[3:9], whole[3:9]),
        (rows[None], whole[None]),
        (rows[None][0], whole),
        (WidenedRows(X, order), whole[order]),
        (WidenedRows(X, order)[5:50], whole[order][5:50]),
        (WidenedRows(X, order)[None], whole[order][None]),
    ):
        assert isinstance(found, WidenedRows)
        assert (found.shape, found.dtype, found.nbytes) == (
            expected.shape, expected.dtype, expected.nbytes,
        )  # fmt: skip
        assert np.array_equal(np.asarray(found), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_are_not_widened(dtype):
    X = numbers(dtype)
    with in_parts():
        assert widened(X) is X


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("blocked", [False, True])
def test_estimators_find_the_same_in_parts(dtype, blocked):
    X = numbers(dtype)

    def found():
        selectors = [FiedlerBatchSelector(), FiedlerBatchSelector(candidate_size=40)]
        selectors += [FiedlerBatchSelector(affinity="nearest_neighbors"), GuidedBatchSelector()]
        kept = [selector.fit(X, Y).sample_indices_.tolist() for selector in selectors]
        return kept, find_wrong_labels(X, Y).trust, abs(fiedler_vector(X).vector)

    expected = found()
    with in_parts(), mock.patch.object(solve, "_BLOCKED_MIN_BYTES", 0 if blocked else 2**40):
        parts = found()
    assert parts[0] == expected[0]
    assert np.array_equal(parts[1], expected[1])
    np.testing.assert_allclose(parts[2], expected[2], atol=1e-4)


def test_error_names_the_nonfinite_row():
    X = numbers("float16")
    X[123, 2] = np.inf
    with in_parts():
        for use in (FiedlerBatchSelector().fit, fiedler_vector, lambda X: find_wrong_labels(X, Y)):
            with pytest.raises(ValueError, match="X must be finite; row 123 holds NaN or infinity"):
                use(X)


def test_shuffled_map_is_read_in_parts(tmp_path):
    np.save(tmp_path / "x.npy", numbers("float16"))
    command = ["select", str(tmp_path / "x.npy"), "--shuffle", "--candidate-size", "50"]
    assert main([*command, "--out", str(tmp_path / "map.txt")]) == 0
    np.savez(tmp_path / "x.npz", numbers("float16"))
    command[1] = str(tmp_path / "x.npz")
    assert main([*command, "--out", str(tmp_path / "memory.txt")]) == 0
    assert (tmp_path / "map.txt").read_text() == (tmp_path / "memory.txt").read_text()


def test_memory_map_is_recognized(tmp_path):
    np.save(tmp_path / "x.npy", numbers("int8"))
    X = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert map_beneath(np.asarray(X)[3:]) is not None
    assert map_beneath(np.array(X)) is None


_CODE = """
import re, sys
from pathlib import Path
import numpy as np
from spectral_select import FiedlerBatchSelector, find_wrong_labels

def peak():
    return 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])

X = np.load(sys.argv[1], mmap_mode="r")
y = np.arange(len(X)) % 2
uses = {
    "fit": FiedlerBatchSelector().fit,
    "batches": FiedlerBatchSelector(candidate_size=1000).fit,
    "trust": lambda X: find_wrong_labels(X, y),
}
small = np.random.default_rng(0).random((2000, X.shape[1]), np.float32)
find_wrong_labels(small, y[:2000])  # whatever the first call loads is not counted
FiedlerBatchSelector().fit(small)
before = peak()
uses[sys.argv[2]](X)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("use", ["fit", "batches", "trust"])
@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_memory_map_is_not_widened_whole(dtype, use, tmp_path):
    X = np.random.default_rng(0).integers(1, 100, (2**18, 256), dtype=np.int8).astype(dtype)
    np.save(tmp_path / "x.npy", X)
    command = [sys.executable, "-W", "ignore", "-c", _CODE, str(tmp_path / "x.npy"), use]
    grown = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    whole = X.size * (4 if dtype == "float16" else 8)
    # Resident memory includes the pages of the file that were read.
    assert grown < X.nbytes + 0.6 * whole
