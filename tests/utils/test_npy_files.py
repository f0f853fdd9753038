import numpy as np
import pytest

from spectral_select import EmbeddingStore, StoreError, save_embeddings
from spectral_select._features.readers import read_features, read_labels
from spectral_select._utils.npy_files import load_npy
from spectral_select.integrations.records.run_files import read_arrays

X = np.random.default_rng(0).random((30, 4), dtype=np.float32)
HEADERS = [
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (30, 4), }"[:length] for length in range(60)
] + [
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (30, 4), ",
    b"{'descr': '<q9', 'fortran_order': False, 'shape': (30, 4)}",
    b"{'descr': '', 'fortran_order': False, 'shape': (30, 4)}",
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (10**30, 4)}",
    b"{'descr': '<f4', 'fortran_order': 2, 'shape': (30, 4)}",
    b"'''",
    b"((((",
    b"{'descr': '|O', 'fortran_order': False, 'shape': (30, 4)}",
    b"\x00" * 40,
    b"lambda: 0",
]


def with_header(header):
    header = header.ljust(118, b" ") + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + X.tobytes()


def mutated(content, seed):
    """Return a file with some bytes in its first part changed, removed or repeated."""
    rng = np.random.default_rng(seed)
    data = bytearray(content)
    for _ in range(rng.integers(1, 6)):
        place = int(rng.integers(min(len(data), 160)))
        kind = rng.integers(3)
        if kind == 0:
            data[place] = rng.integers(256)
        elif kind == 1:
            del data[place : place + int(rng.integers(1, 9))]
        else:
            data[place:place] = data[place : place + int(rng.integers(1, 9))]
    return bytes(data)


def check(name, read, error):
    """Read a damaged file, which must succeed or raise a one-line error that names the file."""
    message = name
    try:
        read()
    except error as raised:
        message = str(raised)
    assert name in message
    assert "\n" not in message


@pytest.mark.parametrize("number", range(len(HEADERS)))
def test_malformed_headers_are_errors_that_name_the_file(tmp_path, number):
    path = tmp_path / "x.npy"
    path.write_bytes(with_header(HEADERS[number]))
    with pytest.raises(ValueError, match=r"x\.npy"):
        load_npy(path)


@pytest.mark.parametrize("seed", range(150))
def test_rejects_damaged_files_in_one_line(tmp_path, seed):
    path = tmp_path / "x.npy"
    np.save(path, X)
    path.write_bytes(mutated(path.read_bytes(), seed))
    check("x.npy", lambda: read_features(path), ValueError)
    np.savez(tmp_path / "f.npz", X=X)
    check("x.npy", lambda: read_labels(tmp_path / "f.npz", path), ValueError)
    packed = tmp_path / "y.npz"
    np.savez(packed, X=X)
    packed.write_bytes(mutated(packed.read_bytes(), seed))
    check("y.npz", lambda: read_features(packed), ValueError)
    check("y.npz", lambda: read_arrays(packed), ValueError)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("name", ["embeddings.npy", "labels.npy", "meta.json"])
def test_damaged_stores_raise_store_errors(tmp_path, seed, name):
    save_embeddings(tmp_path / "s", X, np.arange(30) % 3)
    path = tmp_path / "s" / name
    path.write_bytes(mutated(path.read_bytes(), seed))

    def read():
        store = EmbeddingStore.open(tmp_path / "s")
        return store.features[:], store.labels

    check("", read, StoreError)
