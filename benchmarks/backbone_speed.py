"""Speed of the backbones: images per second of the network and of its preprocessing.

    python benchmarks/backbone_speed.py    # under 3 minutes on 2 cores

The weights are random, because the time does not depend on their values. For networks from the
transformers library, this script writes the configurations that their repositories on the hub
contain, so nothing is downloaded. Each network runs as in `extract`: in batches, in float32, in
channels-last layout, on all cores. Preprocessing runs on one core, as in a worker process of
`extract`, and starts from an image in memory, so decoding is not included.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _harness import alternate, median, table, write
from PIL import Image

from spectral_select.integrations.models.backbones import build_backbone
from spectral_select.integrations.models.embedding_network import on_device

RESULTS = Path("benchmarks/results/backbone_speed.json")
SIZE, BATCH, REPEATS = 224, 8, 3
PHOTO = (500, 375)  # width and height of the images before preprocessing

NETWORKS = (
    "squeezenet1_0",
    "resnet18",
    "resnet50",
    "timm:mobilenetv3_large_100",
    "timm:convnext_tiny",
    "timm:vit_small_patch14_dinov2",
    "timm:vit_base_patch16_224",
    "hf:facebook/dinov2-small",
    "hf:openai/clip-vit-base-patch32",
    "hf:google/siglip-base-patch16-224",
    "open_clip:RN50",
    "open_clip:ViT-B-32",
)


def write_dinov2_small(folder: str) -> None:
    import transformers as t

    vision = {"hidden_size": 384, "num_attention_heads": 6, "patch_size": 14, "image_size": 518}
    t.Dinov2Config(**vision).save_pretrained(folder)
    imagenet = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    crop = {"size": {"shortest_edge": 256}, "crop_size": {"height": SIZE, "width": SIZE}}
    t.BitImageProcessor(**imagenet, **crop).save_pretrained(folder)


def write_clip(folder: str) -> None:
    import transformers as t

    t.CLIPConfig().save_pretrained(folder)  # the defaults are those of ViT-B/32
    t.CLIPImageProcessor().save_pretrained(folder)


def write_siglip(folder: str) -> None:
    import transformers as t

    t.SiglipConfig().save_pretrained(folder)  # the defaults are those of the base model
    t.SiglipImageProcessor().save_pretrained(folder)


CONFIGURATIONS: dict[str, Callable[[str], None]] = {
    "hf:facebook/dinov2-small": write_dinov2_small,
    "hf:openai/clip-vit-base-patch32": write_clip,
    "hf:google/siglip-base-patch16-224": write_siglip,
}


def build(name: str) -> tuple[Any, ...]:
    """Build a backbone with random weights, without internet access."""
    if name not in CONFIGURATIONS:
        return build_backbone(name, "random", image_size=SIZE)
    with tempfile.TemporaryDirectory() as folder:
        CONFIGURATIONS[name](folder)
        return build_backbone(f"hf:{folder}", "random", image_size=SIZE)


def measure(name: str) -> dict[str, Any]:
    """Measure one network."""
    backbone, transform, dim = build(name)
    width, height = PHOTO
    noise = np.random.default_rng(0).integers(0, 256, (BATCH, height, width, 3), dtype=np.uint8)
    photos = [Image.fromarray(pixels) for pixels in noise]
    images = torch.stack([transform(photo) for photo in photos])
    images = images.contiguous(memory_format=torch.channels_last)
    threads = torch.get_num_threads()

    def prepare() -> None:
        for photo in photos:
            transform(photo)

    with on_device(backbone, torch.device("cpu")) as network, torch.no_grad():
        forward = alternate({"network": lambda: network(images)}, REPEATS)
    torch.set_num_threads(1)
    try:
        before = alternate({"preprocessing": prepare}, REPEATS)
    finally:
        torch.set_num_threads(threads)
    return {
        "backbone": name,
        "library": backbone.library,
        "library_version": backbone.library_version,
        "dim": dim,
        "image_size": backbone.image_size,
        "parameters": sum(parameter.numel() for parameter in backbone.parameters()),
        "network_images_per_second": BATCH / median(forward["network"]),
        "preprocessing_images_per_second": BATCH / median(before["preprocessing"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    rows = [["backbone", "library", "dim", "parameters", "network", "preprocessing"]]
    results = []
    for name in NETWORKS:
        one = measure(name)
        results.append(one)
        rows.append(
            [
                name,
                f"{one['library']} {one['library_version']}",
                str(one["dim"]),
                f"{one['parameters'] / 1e6:.1f} M",
                f"{one['network_images_per_second']:.1f} images/s",
                f"{one['preprocessing_images_per_second']:.0f} images/s",
            ]
        )
        print(" ".join(rows[-1]), flush=True)
    write(
        options.out,
        {
            "batch": BATCH,
            "photo": PHOTO,
            "repeats": REPEATS,
            "threads": torch.get_num_threads(),
            "backbones": results,
        },
    )
    print(table(rows))


if __name__ == "__main__":
    main()
