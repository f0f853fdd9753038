"""Time and memory to find wrong labels and near-duplicates in many Parquet files.

    python benchmarks/parquet_scale.py --folder FOLDER          # 5,000,000 x 256 in 50 files
    python benchmarks/parquet_scale.py --folder FOLDER --rows 500000 --ray --out small.json

The script writes float16 embeddings of 100 classes, with 5% wrong labels and 1% near-copies. It
measures the time to read the files without any computation, and runs ``spectral-select inspect``
in a separate process. It reports seconds, rows per second, the peak resident memory of all
processes of the command, and the shares of planted rows that are found. With ``--ray``, the
command also runs on local Ray clusters of one and two CPUs, then again on two CPUs with one
worker killed; the scores are compared byte for byte with those written without Ray. FOLDER needs
about four times the space of the embeddings (10 GB at full size) and is kept for a second run.
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from _harness import write

from spectral_select._parquet.parquet_files import ParquetFiles, find_files

RESULTS = Path("benchmarks/results/parquet_scale.json")
CLASSES, D, FILES = 100, 256, 50
WRONG, COPIES = 0.05, 0.01


def make_file(path: Path, number: int, n: int) -> None:
    """Write a file with class clusters in 32 dimensions and noise in all dimensions."""
    rng = np.random.default_rng(number)
    shared = np.random.default_rng(10_000)
    centers = shared.normal(size=(CLASSES, 32)).astype(np.float32)
    basis = shared.normal(size=(32, D)).astype(np.float32) / np.sqrt(32)
    y = rng.integers(0, CLASSES, n)
    latent = centers[y] + 0.7 * rng.normal(size=(n, 32)).astype(np.float32)
    X = latent @ basis + 0.3 * rng.normal(size=(n, D)).astype(np.float32)
    copies = int(COPIES * n)
    X[-copies:] = X[:copies] + 0.02 * rng.normal(size=(copies, D)).astype(np.float32)
    wrong = rng.random(n) < WRONG
    labels = np.where(wrong, (y + rng.integers(1, CLASSES, n)) % CLASSES, y)
    values = pa.array(X.astype(np.float16).ravel())
    columns = {
        "id": np.arange(n) + number * n,
        "embedding": pa.FixedSizeListArray.from_arrays(values, D),
        "label": labels,
        "planted_wrong": wrong,
    }
    temporary = path.with_suffix(".tmp")
    pq.write_table(pa.table(columns), temporary, row_group_size=50_000, compression="none")
    temporary.replace(path)


def read_alone(files: ParquetFiles) -> float:
    start = time.perf_counter()
    for path in files.paths:
        for block in files.blocks(path):
            del block
    return time.perf_counter() - start


def inspect(inputs: Path, out: Path, *more: str, kill: bool = False) -> dict[str, Any]:
    """Run the command, and return its seconds and largest resident memory."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "spectral_select", "inspect", str(inputs), "--id", "id"]
    command += ["--embedding", "embedding", "--label", "label", "--out", str(out), *more]
    start = time.perf_counter()
    process = subprocess.Popen(command)
    most, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            most.append(resident(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    if kill:
        kill_worker(process)
    status = process.wait()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    if status:
        raise SystemExit(f"inspect ended with status {status}")
    return {"seconds": seconds, "resident_gib": max(most) / 2**30}


def resident(pid: int) -> int:
    """Return the resident memory of a process and its children, counting shared pages for each."""
    total = 0
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
    return total


def kill_worker(command: subprocess.Popen[bytes]) -> None:
    """Kill the first Ray worker that runs pass 2 of a command."""
    while command.poll() is None:
        for process in psutil.process_iter(["cmdline"]):
            if "ray::_sums_of_file" in " ".join(process.info["cmdline"] or ()):
                process.kill()
                return
        time.sleep(0.05)
    raise SystemExit("inspect ended before a worker could be killed")


def on_ray(inputs: Path, folder: Path, expected: Path) -> dict[str, Any]:
    """Run the command on local clusters, and compare the scores."""
    results = {}
    # Authentication is not needed, because these clusters end with the benchmark.
    os.environ["RAY_AUTH_MODE"] = "disabled"
    program = Path(sys.executable).with_name("ray")
    for name, n_cpus, kill in (("1", 1, False), ("2", 2, False), ("2, one killed", 2, True)):
        options = ["--head", "--port=6399", f"--num-cpus={n_cpus}", "--include-dashboard=false"]
        subprocess.run([program, "start", *options], check=True, stdout=subprocess.DEVNULL)
        try:
            out = folder / "scores-ray"
            more = ("--engine", "ray", "--address", "127.0.0.1:6399")
            result = inspect(inputs, out, *more, kill=kill)
        finally:
            subprocess.run([program, "stop", "--force"], check=True, stdout=subprocess.DEVNULL)
        names = [path.name for path in find_files(str(inputs))]
        result["same_bytes"] = all(
            (out / name).read_bytes() == (expected / name).read_bytes() for name in names
        )
        del result["resident_gib"]  # lacks the workers, which are children of the cluster
        results[name] = result
        print(name, result, flush=True)
    return results


def found(inputs: Path, out: Path) -> dict[str, float]:
    """Return the recall and precision of planted wrong labels, and the recall of copies.

    ``others_grouped`` is the share that is flagged as near-duplicates among the rows that are
    neither copies nor originals of copies.
    """
    wrong, flagged, copies, grouped = [], [], [], []
    for path in find_files(str(inputs)):
        planted = pq.read_table(path, columns=["planted_wrong"])["planted_wrong"].to_numpy()
        scores = pq.read_table(out / path.name, columns=["wrong_label", "duplicate_group"])
        group, k = scores["duplicate_group"].to_numpy(), int(COPIES * len(planted))
        wrong.append(planted)
        flagged.append(scores["wrong_label"].to_numpy())
        copies.append((group[:k] >= 0) & (group[:k] == group[-k:]))
        grouped.append(group[k:-k] >= 0)
    truth, flags = np.concatenate(wrong), np.concatenate(flagged)
    return {
        "wrong_labels_recall": float(flags[truth].mean()),
        "wrong_labels_precision": float(truth[flags].mean()),
        "copies_recall": float(np.concatenate(copies).mean()),
        "others_grouped": float(np.concatenate(grouped).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="folder for data and scores")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--ray", action="store_true", help="also run on local Ray clusters")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    inputs, scores = args.folder / f"in-{args.rows}", args.folder / "scores"
    inputs.mkdir(parents=True, exist_ok=True)
    for number in range(FILES):
        path = inputs / f"{number:03d}.parquet"
        if not path.exists():
            make_file(path, number, args.rows // FILES)
            print(f"made {path}", flush=True)
    files = ParquetFiles(find_files(str(inputs)), "id", "embedding", "label")
    size = sum(path.stat().st_size for path in files.paths)
    if shutil.disk_usage(args.folder).free < 3 * size:
        raise SystemExit(f"{args.folder} needs {3 * size / 2**30:.0f} GiB of free space")
    reading = read_alone(files)
    print(f"reading the files alone: {reading:.1f} s", flush=True)
    result = inspect(inputs, scores)
    record = {
        "rows": args.rows,
        "features": D,
        "files": FILES,
        "bytes": size,
        "read_alone_seconds": reading,
        **result,
        "rows_per_second": args.rows / result["seconds"],
        "times_reading": result["seconds"] / reading,
        **found(inputs, scores),
    }
    if args.ray:
        record["ray"] = on_ray(inputs, args.folder, scores)
    print(record, flush=True)
    write(args.out, record)


if __name__ == "__main__":
    main()
