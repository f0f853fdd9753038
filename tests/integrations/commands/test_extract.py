"""The command extract: messages, splits, and stores for the command select."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from image_helpers import write_images

from spectral_select import EmbeddingStore


class TestExtract:
    @pytest.fixture
    def photos(self, tmp_path):
        for part, n in (("train", 12), ("test", 3)):
            folder = tmp_path / "photos" / part
            write_images(folder, ("cat", "dog"), n, seed=n, size=(20, 24), name="{:02}.jpg")
        return tmp_path / "photos"

    def words(self, photos, out):
        network = "--backbone squeezenet1_1 --weights random --image-size 32 --workers 0"
        return ["extract", photos, "--out", out, *network.split()]

    def test_extract_then_select(self, run, photos, tmp_path):
        status, out, err = run(*self.words(photos, tmp_path / "s"))
        assert (status, err) == (0, "")
        assert re.fullmatch(
            r"22 of 30 images \(train split\): embeddings of length 512 in .*/s "
            r"\(\S+ s, \d+ images/s\)\n",
            out,
        )
        status, out, err = run(*self.words(photos, tmp_path / "s"))
        assert (status, err) == (0, "")
        assert "already exist, nothing to do" in out
        status, out, _ = run("select", tmp_path / "s", "--filter-ratio", "0.5")
        assert status == 0
        assert len(out.splitlines()) == 11
        assert all((photos / line).is_file() for line in out.splitlines())

    def test_splits_and_overwrite(self, run, fails, photos, tmp_path):
        words = self.words(photos, tmp_path / "s")
        run(*words)
        err = fails(*words, "--split", "test")
        assert "holds embeddings of something else (number of rows was 22, is now 6" in err
        status, out, _ = run(*words, "--split", "test", "--overwrite")
        assert status == 0
        assert out.startswith("6 of 30 images (test split)")
        assert "hash of the weights" in fails(*words, "--split", "test", "--seed", "1")

    def test_split_all_reads_every_image(self, run, photos, tmp_path):
        status, out, err = run(*self.words(photos, tmp_path / "s"), "--split", "all")
        assert (status, err) == (0, "")
        assert out.startswith("30 images: embeddings of length 512")
        store = EmbeddingStore.open(tmp_path / "s")
        files = {p.relative_to(photos).as_posix() for p in photos.rglob("*.jpg")}
        assert set(store.paths) == files
        names = [store.meta["classes"][label] for label in store.labels]
        assert all(
            Path(path).parent.name == name for path, name in zip(store.paths, names, strict=True)
        )

    @pytest.mark.filterwarnings("default")
    def test_skipped_files_are_counted(self, run, photos, tmp_path):
        (photos / "train" / "dog" / "a.gif").write_bytes(b"")
        status, _, err = run(*self.words(photos, tmp_path / "s"))
        assert status == 0
        assert "skipped 1 files that are not images (1 .gif" in err

    def test_error_names_unreadable_images(self, fails, photos, tmp_path):
        (photos / "train" / "dog" / "05.jpg").write_text("no image")
        err = fails(*self.words(photos, tmp_path / "s"), "--val-fraction", "0")
        assert "cannot read the image" in err
        assert "train/dog/05.jpg" in err

    def test_ends_quietly_when_interrupted_by_a_signal(self, tmp_path):
        code = "import sys; from spectral_select._cli.main import main; sys.exit(main())"
        words = [str(w) for w in self.words("digits", tmp_path / "s")]
        slow = ["--image-size", "512", "--batch-size", "1", "--workers", "2"]
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words, *slow, "--progress"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        with process:
            err = ""
            while err.count("images") < 2:  # the bar has moved, so work has begun
                err += (char := process.stderr.read(1))
                assert char, err
            os.killpg(process.pid, signal.SIGINT)  # the effect of Ctrl-C
            out, rest = process.communicate()
        assert process.returncode == 130
        assert out == ""
        assert "Traceback" not in err + rest


class TestSelect:
    """Output of select for a store with only one split of a folder."""

    @pytest.fixture
    def photos(self, tmp_path):
        return write_images(tmp_path / "photos", ("cat", "dog"), 30, size=(8, 8), name="{:02}.png")

    def extract(self, run, photos, *more):
        out = photos.parent / "store"
        network = ("--backbone", "pixels", "--image-size", 8)
        assert run("extract", photos, "--out", out, *network, *more)[0] == 0
        return out

    def test_rejects_indices_of_an_unnamed_split(self, run, fails, photos, tmp_path):
        store = self.extract(run, photos)
        err = fails("select", store, "--out", tmp_path / "keep.npy")
        reason = "holds 43 of 60 images (train split), because it was extracted without --split"
        assert reason in err
        assert "write .txt, .csv, .json or .parquet, or extract again" in err
        assert not (tmp_path / "keep.npy").exists()

    @pytest.mark.parametrize("split", ["train", "all"])
    def test_accepts_indices_of_a_named_split(self, run, photos, tmp_path, split):
        store = self.extract(run, photos, "--split", split)
        assert run("select", store, "--out", tmp_path / "keep.npy")[0] == 0
        paths = EmbeddingStore.open(store).paths
        _, out, _ = run("select", store)
        assert [paths[i] for i in np.load(tmp_path / "keep.npy")] == out.splitlines()

    def test_selected_paths_are_files(self, run, photos, tmp_path):
        store = self.extract(run, photos)
        _, _, err = run("select", store, "--out", tmp_path / "keep.txt")
        assert "kept 8 of 43 rows" in err
        assert err.endswith("; the rows cover 43 of 60 images (train split)\n")
        kept = (tmp_path / "keep.txt").read_text().splitlines()
        assert len(kept) == 8
        assert all((photos / path).is_file() for path in kept)
