"""The store is complete or rejected, resumes to the same bytes, and follows no link out of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kill_helpers import killed_while_writing

from spectral_select import EmbeddingStore, StoreWriter, save_embeddings
from spectral_select._utils.folders import StoreError

N, D, BLOCK = 50, 6, 8
X = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
LABELS = np.arange(N) % 5
META = {
    "fingerprint": "f" * 64,
    "backbone": "resnet18",
    "weights_hash": "w" * 64,
    "image_size": 32,
}


def writer(path, *, meta=META, labels=LABELS, block_size=BLOCK, **options):
    options = {"count": N, "dim": D} | options
    return StoreWriter(path, labels=labels, meta=meta, block_size=block_size, **options)


def fill(w, n_blocks=None):
    """Write up to n_blocks blocks of X; return the number written."""
    written = 0
    while w.n_done < N and written != n_blocks:
        w.write_block(X[w.n_done : w.n_done + w.block_size])
        written += 1
    return written


@pytest.fixture
def store(tmp_path):
    with writer(tmp_path / "store") as w:
        fill(w)
        w.finish()
    return tmp_path / "store"


def test_round_trip(store):
    found = EmbeddingStore.open(store)
    assert isinstance(found.features, np.memmap)
    assert not found.features.flags.writeable
    assert found.features.dtype == np.float32
    np.testing.assert_array_equal(found.features, X)
    np.testing.assert_array_equal(found.labels, LABELS)
    assert META.items() <= found.meta.items()
    assert len(found) == N
    found.verify()
    assert {p.name for p in store.iterdir()} == {
        "embeddings.npy",
        "labels.npy",
        "meta.json",
        ".lock",
    }
    np.testing.assert_array_equal(np.load(store / "embeddings.npy"), X)


def test_labels_are_optional(tmp_path):
    found = save_embeddings(tmp_path / "s", X.astype(np.float64), backbone="mine")
    assert found.labels is None
    assert found.meta["backbone"] == "mine"
    assert found.n_written == N
    np.testing.assert_array_equal(found.features, X)


class TestPaths:
    NAMES = ("cat/0 é.jpg", "a\nb", "\udcff")

    def test_round_trip(self, tmp_path):
        save_embeddings(tmp_path, np.eye(3), paths=self.NAMES)
        assert EmbeddingStore.open(tmp_path).paths == self.NAMES

    def test_are_optional(self, store):
        assert EmbeddingStore.open(store).paths is None

    def test_older_stores_have_no_paths(self, store):
        meta = json.loads((store / "meta.json").read_text())
        del meta["has_paths"]
        (store / "meta.json").write_text(json.dumps(meta))
        assert EmbeddingStore.open(store).paths is None

    @pytest.mark.parametrize(
        "content",
        [None, "", "[]", "{}", '{"paths": 3}', '{"paths": ["a"]}', '{"paths": [1, 2, 3]}'],
    )
    def test_rejects_damaged_file(self, tmp_path, content):
        save_embeddings(tmp_path, np.eye(3), paths=self.NAMES)
        (tmp_path / "paths.json").unlink()
        if content is not None:
            (tmp_path / "paths.json").write_text(content)
        with pytest.raises(StoreError, match=r"paths\.json"):
            _ = EmbeddingStore.open(tmp_path).paths

    @pytest.mark.parametrize(
        ("paths", "error"), [(["a"], ValueError), ("abc", TypeError), ([1, 2, 3], TypeError)]
    )
    def test_rejects_paths_that_do_not_fit(self, tmp_path, paths, error):
        with pytest.raises(error, match="paths must"):
            save_embeddings(tmp_path / "s", np.eye(3), paths=paths)
        assert not (tmp_path / "s").exists()

    def test_rejects_links_out_of_the_store(self, tmp_path):
        save_embeddings(tmp_path / "s", np.eye(3), paths=self.NAMES)
        shutil.move(tmp_path / "s" / "paths.json", tmp_path / "outside")
        (tmp_path / "s" / "paths.json").symlink_to("../outside")
        with pytest.raises(StoreError, match="leads out of the store"):
            _ = EmbeddingStore.open(tmp_path / "s").paths


@pytest.mark.parametrize(
    ("meta", "extent"),
    [
        ({}, "3 images"),
        ({"split": "train", "n_images": 3}, "3 images"),
        ({"split": "train", "n_images": 9}, "3 of 9 images (train split)"),
        ({"split": "val", "drawn_from": 7}, "3 of 7 images (val split)"),
        ({"drawn_from": 7, "n_images": "x"}, "3 of 7 images"),
    ],
)
def test_extent_describes_the_part_of_the_dataset(tmp_path, meta, extent):
    assert save_embeddings(tmp_path, np.eye(3), **meta).extent == extent


def test_second_writer_has_nothing_to_do(store):
    before = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in store.iterdir()}
    with writer(store) as w:
        assert w.complete
        assert w.n_done == N
        assert w.finish().n_written == 0
    assert {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in store.iterdir()} == before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    stops=st.lists(st.integers(0, 3), max_size=5),
    cut=st.integers(0, 40),
    later_block=st.sampled_from([3, BLOCK, 100]),
)
def test_resumed_store_has_the_same_bytes(tmp_path_factory, stops, cut, later_block):
    folder = tmp_path_factory.mktemp("resume")
    with writer(folder / "straight") as w:
        fill(w)
        w.finish()
    for n_blocks in stops:
        with writer(folder / "stopped") as w:
            fill(w, n_blocks)
        with pytest.raises(StoreError, match="has not finished; run the same extraction again"):
            EmbeddingStore.open(folder / "stopped")
        partial = folder / "stopped" / "embeddings.npy.partial"
        # After the machine crashes, the end of the file may be missing on disk, or a block that
        # was not counted may be present.
        content = partial.read_bytes()
        partial.write_bytes(
            content[: max(0, len(content) - cut)] if cut % 2 else content + b"x" * cut
        )
    with writer(folder / "stopped", block_size=later_block if stops else BLOCK) as w:
        fill(w)
        w.finish()
    for name in ("embeddings.npy", "labels.npy", "meta.json"):
        assert (folder / "stopped" / name).read_bytes() == (folder / "straight" / name).read_bytes()


def test_block_damaged_on_disk_is_recomputed(tmp_path):
    with writer(tmp_path) as w:
        fill(w, 4)
    partial = tmp_path / "embeddings.npy.partial"
    content = bytearray(partial.read_bytes())
    content[128 + 2 * BLOCK * D * 4 + 5] ^= 1  # in the third block
    partial.write_bytes(content)
    with writer(tmp_path) as w:
        assert w.n_done == 2 * BLOCK
        fill(w)
        np.testing.assert_array_equal(w.finish().features, X)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"format": "other"}', b"\xff\xfe", b"[" * 100_000]
)
def test_damaged_progress_file_restarts_the_writing(tmp_path, content):
    with writer(tmp_path) as w:
        fill(w, 3)
    (tmp_path / "progress.json").write_bytes(content)
    with writer(tmp_path) as w:
        assert w.n_done == 0
        fill(w)
        np.testing.assert_array_equal(w.finish().features, X)


@pytest.mark.parametrize("key", ["block_size", "block_crc32"])
@pytest.mark.parametrize("value", [None, -1, 0, "8", [None], {"a": 1}, 1e300])
def test_implausible_progress_file_is_ignored(tmp_path, key, value):
    with writer(tmp_path) as w:
        fill(w, 3)
    progress = json.loads((tmp_path / "progress.json").read_text())
    (tmp_path / "progress.json").write_text(json.dumps(progress | {key: value}))
    with writer(tmp_path) as w:
        fill(w)
        np.testing.assert_array_equal(w.finish().features, X)


def test_killed_between_the_last_two_renames(store, tmp_path):
    meta = (store / "meta.json").read_bytes()
    (store / "meta.json").rename(store / "progress.json")
    with writer(store) as w:
        assert w.n_done == N
        w.finish()
    assert (store / "meta.json").read_bytes() == meta
    assert not (store / "progress.json").exists()


def test_leftovers_of_a_killed_rename_are_removed(tmp_path):
    with writer(tmp_path) as w:
        fill(w, 1)
    killed_while_writing(tmp_path / "meta.json")
    (tmp_path / "notes.tmp").write_text("the user's own")
    with writer(tmp_path) as w:
        fill(w)
        w.finish()
    assert {p.name for p in tmp_path.iterdir()} == {
        "embeddings.npy", "labels.npy", "meta.json", ".lock", "notes.tmp",
    }  # fmt: skip


def test_complete_store_is_cleared_of_files_of_a_killed_writer(tmp_path):
    with writer(tmp_path) as w:
        fill(w)
        w.finish()
    progress = tmp_path / "progress.json"  # as if killed before removing this file
    progress.write_bytes((tmp_path / "meta.json").read_bytes())
    left = killed_while_writing(progress)
    with writer(tmp_path) as w:
        assert w.complete
    assert not progress.exists()
    assert not left.exists()


class TestOtherData:
    @pytest.mark.parametrize("state", ["whole", "begun"])
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                {"meta": META | {"fingerprint": "e" * 64}},
                r"of the data was f+…, is now e+…",
            ),
            ({"meta": META | {"backbone": "vit_b_16"}}, "backbone was resnet18, is now vit_b_16"),
            (
                {"meta": META | {"weights_hash": "v" * 64}},
                r"hash of the weights was w+…, is now v+…",
            ),
            ({"meta": META | {"image_size": 64}}, "image size was 32, is now 64"),
            ({"count": 51, "labels": None}, "number of rows was 50, is now 51"),
            ({"dim": 7}, "length of an embedding was 6, is now 7"),
        ],
    )
    def test_rejects_other_data_and_changes_nothing(self, tmp_path, state, change, message):
        with writer(tmp_path) as w:
            fill(w, None if state == "whole" else 3)
            if state == "whole":
                w.finish()
        before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
        with pytest.raises(StoreError, match=message):
            writer(tmp_path, **change)
        assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before

    def test_labels(self, store):
        with pytest.raises(StoreError, match="holds different labels"):
            writer(store, labels=LABELS[::-1])

    def test_overwrite(self, store):
        with writer(store, meta=META | {"backbone": "vit_b_16"}, overwrite=True) as w:
            assert w.n_done == 0
            with pytest.raises(StoreError):
                EmbeddingStore.open(store)
            fill(w)
            assert w.finish().meta["backbone"] == "vit_b_16"

    def test_unknown_array_is_not_replaced(self, tmp_path):
        np.save(tmp_path / "embeddings.npy", X)
        with pytest.raises(StoreError, match=r"holds an embeddings\.npy without meta\.json"):
            writer(tmp_path)
        np.testing.assert_array_equal(np.load(tmp_path / "embeddings.npy"), X)

    def test_check_matches(self, store):
        class Data:
            def __init__(self, n=N, **attributes):
                self.n = n
                vars(self).update(attributes)

            def __len__(self):
                return self.n

        found = EmbeddingStore.open(store)
        found.check_matches(Data())
        found.check_matches(Data(fingerprint="f" * 64))
        found.check_matches(Data(targets=LABELS.tolist()))
        with pytest.raises(StoreError, match="holds 50 embeddings, but the dataset has 49"):
            found.check_matches(Data(49))
        with pytest.raises(StoreError, match="belongs to other data: its fingerprint is ffff"):
            found.check_matches(Data(fingerprint="0" * 64))
        with pytest.raises(StoreError, match="40 labels differ, the first at row 0"):
            found.check_matches(
                Data(
                    labels=np.roll(LABELS, 1) * (np.arange(N) < 40) + LABELS * (np.arange(N) >= 40)
                )
            )


class TestTwoAtOnce:
    def test_rejects_second_writer(self, tmp_path):
        with writer(tmp_path), pytest.raises(StoreError, match="another process is writing to"):
            writer(tmp_path)
        with writer(tmp_path) as w:
            fill(w)
            w.finish()

    def test_rejects_writer_in_another_process_until_the_first_ends(self, tmp_path):
        code = (
            "import os, sys, time\n"
            "from spectral_select._features.store_writer import StoreWriter\n"
            "writer = StoreWriter(sys.argv[1], count=50, dim=6)\n"
            "child = os.fork() if hasattr(os, 'fork') else 1\n"
            "if child: print(child, flush=True)\n"
            "time.sleep(60)\n"
        )
        command = [sys.executable, "-c", code, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            child = int(process.stdout.readline())
            with pytest.raises(StoreError, match="another process is writing to"):
                writer(tmp_path, overwrite=True)
            process.kill()
            process.wait()
            try:  # the child survives the process and must not keep the lock
                writer(tmp_path, overwrite=True).close()
            finally:
                if child != 1:
                    os.kill(child, signal.SIGKILL)

    def test_complete_store_opens_without_a_lock(self, store, monkeypatch):
        def fail(*args, **kwargs):
            raise AssertionError("the folder was locked")

        monkeypatch.setattr("spectral_select._features.store_writer.FolderLock", fail)
        with writer(store) as w:
            assert w.complete


class TestDamaged:
    def test_missing_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"there is no embedding store .*nowhere"):
            EmbeddingStore.open(tmp_path / "nowhere")

    def test_reads_a_file(self, tmp_path):
        (tmp_path / "file").write_text("x")
        for action in (EmbeddingStore.open, writer):
            with pytest.raises(StoreError, match="file is a file; expected"):
                action(tmp_path / "file")

    def test_empty_folder(self, tmp_path):
        with pytest.raises(
            StoreError, match=r"not a complete embedding store: expected meta\.json"
        ):
            EmbeddingStore.open(tmp_path)

    @pytest.mark.parametrize("name", ["embeddings.npy", "labels.npy"])
    @pytest.mark.parametrize(
        "how",
        ["missing", "cut", "header", "empty", "text", "zip", "shape", "type", "order", "pickle"],
    )
    def test_arrays(self, store, name, how):
        path = store / name
        content, array = path.read_bytes(), np.load(path)
        path.unlink()
        if how in ("cut", "header", "empty"):
            path.write_bytes(content[: {"cut": -4, "header": 40, "empty": 0}[how]])
        elif how == "text":
            path.write_text("0.1 0.2\n" * 200)
        elif how == "zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("a.npy", content)
        elif how == "shape":
            np.save(path, array[:-1])
        elif how == "type":
            np.save(path, array.astype(np.float64))
        elif how == "order":
            np.save(path, np.asfortranarray(array) if array.ndim == 2 else array[None])
        elif how == "pickle":
            np.save(path, np.array([{}] * N, dtype=object), allow_pickle=True)
        with pytest.raises(StoreError, match=rf"{name}.* (missing|damaged)"):
            EmbeddingStore.open(store)
        with pytest.raises(StoreError, match="overwrite it or choose another folder"):
            writer(store)
        with writer(store, overwrite=True) as w:
            fill(w)
            w.finish()

    @pytest.mark.parametrize("content", [b"", b"null", b"{", b"\xff", b"{}"])
    def test_rejects_invalid_metadata(self, store, content):
        (store / "meta.json").write_bytes(content)
        with pytest.raises(StoreError, match=r"meta\.json"):
            EmbeddingStore.open(store)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("format", "spectral_select embeddings 99"),
            ("count", 49),
            ("count", "50"),
            ("count", 10**15),
            ("dim", -6),
            ("dim", True),
            ("has_labels", "yes"),
            ("block_size", 0),
            ("block_crc32", []),
            ("block_crc32", None),
            ("fingerprint", 7),
        ],
    )
    def test_rejects_changed_metadata(self, store, key, value):
        meta = json.loads((store / "meta.json").read_text())
        (store / "meta.json").write_text(json.dumps(meta | {key: value}))
        with pytest.raises(StoreError, match=r"damaged|format"):
            EmbeddingStore.open(store)

    def test_verify_finds_one_changed_bit(self, store):
        content = bytearray((store / "embeddings.npy").read_bytes())
        content[-1] ^= 1
        (store / "embeddings.npy").write_bytes(content)
        with pytest.raises(StoreError, match="damaged between rows 48 and 49"):
            EmbeddingStore.open(store).verify()


class TestNoWayOut:
    @pytest.mark.parametrize("name", ["embeddings.npy", "labels.npy", "meta.json"])
    def test_rejects_links_out_of_the_store(self, store, tmp_path, name):
        shutil.move(store / name, tmp_path / "outside")
        (store / name).symlink_to("../outside")
        with pytest.raises(StoreError, match="leads out of the store"):
            EmbeddingStore.open(store)

    @pytest.mark.parametrize(
        "name", ["embeddings.npy.partial", "progress.json", ".lock", "embeddings.npy"]
    )
    def test_writing_does_not_follow_links(self, tmp_path, name):
        with writer(tmp_path / "s") as w:
            fill(w, 2)
        outside = tmp_path / "outside"
        outside.write_text("precious")
        (tmp_path / "s" / "embeddings.npy.partial").unlink()
        (tmp_path / "s" / name).unlink(missing_ok=True)
        (tmp_path / "s" / name).symlink_to(outside)
        with pytest.raises(StoreError, match="leads out of the store"):
            writer(tmp_path / "s")
        assert outside.read_text() == "precious"

    def test_paths_in_the_metadata_are_ignored(self, store, tmp_path):
        np.save(tmp_path / "outside.npy", X + 1)
        meta = json.loads((store / "meta.json").read_text())
        paths = {"embeddings": "../outside.npy", "path": "/etc/passwd", "labels": "../../x"}
        (store / "meta.json").write_text(json.dumps(meta | paths))
        np.testing.assert_array_equal(EmbeddingStore.open(store).features, X)

    def test_folder_itself_may_be_a_link(self, store, tmp_path):
        (tmp_path / "link").symlink_to(store)
        assert len(EmbeddingStore.open(tmp_path / "link")) == N


class TestBadBlocks:
    @pytest.mark.parametrize(
        "shape", [(BLOCK, D + 1), (BLOCK - 1, D), (BLOCK + 1, D), (0, D), (D,)]
    )
    def test_shape(self, tmp_path, shape):
        with (
            writer(tmp_path) as w,
            pytest.raises(ValueError, match=r"block must have shape \(8, 6\)"),
        ):
            w.write_block(np.zeros(shape))

    @pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
    def test_values(self, tmp_path, value):
        block = np.zeros((BLOCK, D))
        block[3, 2] = value
        with writer(tmp_path) as w:
            w.write_block(np.zeros((BLOCK, D)))
            with pytest.raises(ValueError, match="row 11 has a value that is NaN or infinite"):
                w.write_block(block)
            assert w.n_done == BLOCK

    def test_rejects_finishing_too_early(self, tmp_path):
        with writer(tmp_path) as w:
            fill(w, 2)
            with pytest.raises(ValueError, match="only 16 of 50 rows"):
                w.finish()

    def test_rejects_too_many_rows(self, store):
        with writer(store) as w, pytest.raises(ValueError, match="complete"):
            w.write_block(X[:BLOCK])

    @pytest.mark.parametrize("labels", [LABELS[:-1], LABELS.astype(str), LABELS[None]])
    def test_labels(self, tmp_path, labels):
        with pytest.raises((ValueError, TypeError), match=r"labels must (have|be 50 int)"):
            writer(tmp_path, labels=labels)

    @pytest.mark.parametrize("features", [X[0], X[None], X.astype(complex), np.full((2, 2), "a")])
    def test_save(self, tmp_path, features):
        with pytest.raises(ValueError, match="features must be a 2-D array of real numbers"):
            save_embeddings(tmp_path / "s", features)
        assert not (tmp_path / "s").exists()
