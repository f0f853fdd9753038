"""Image towers from OpenCLIP: small real architectures with random weights, saved in the test."""

import json
import logging
import pickle
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from backbone_helpers import COMMIT, assert_usable, put_in_hub, random_image, use_offline_hub
from safetensors.torch import save_file

from spectral_select import EmbeddingStore
from spectral_select.integrations.models.backbones import build_backbone

open_clip = pytest.importorskip("open_clip", reason="needs the extra `open_clip`")

TEXT = {"context_length": 8, "vocab_size": 60, "width": 32, "heads": 2, "layers": 1}
CONFIGS = {
    "vit": {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
        "text_cfg": TEXT,
    },
    "resnet": {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None},
        "text_cfg": TEXT,
    },
    "coca": {
        "embed_dim": 24,
        "vision_cfg": {
            "image_size": 32,
            "layers": 2,
            "width": 64,
            "patch_size": 8,
            "attentional_pool": True,
            "attn_pooler_heads": 2,
            "output_tokens": True,
        },
        "text_cfg": TEXT | {"embed_cls": True, "output_tokens": True},
        "multimodal_cfg": {**TEXT, "attn_pooler_heads": 2},
        "custom_text": True,
    },
}
PREPROCESSING = {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7], "resize_mode": "squash"}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    return use_offline_hub(monkeypatch, tmp_path / "hub")


@pytest.fixture
def saved(tmp_path):
    return save(tmp_path / "tiny")


@pytest.fixture
def registered(monkeypatch):
    """The small model, as one of OpenCLIP's own, with weights called `tag` on the hub."""
    config = {"hf_hub": "me/tiny/", "quick_gelu": True} | PREPROCESSING
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny", CONFIGS["vit"])
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiny", {"tag": config})


def save(folder, kind="vit"):
    """Write a folder like that of a model on the hub."""
    folder.mkdir()
    config = {"model_cfg": CONFIGS[kind], "preprocess_cfg": PREPROCESSING}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(3)
    model = open_clip.create_model(f"local-dir:{folder}", pretrained_text=False)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


def expected(name, **options):
    """Return OpenCLIP's own preprocessing of an image, and its embedding."""
    model, _, transform = open_clip.create_model_and_transforms(name, **options)
    inputs = transform(random_image())
    with torch.inference_mode():
        return inputs, model.eval().encode_image(inputs[None], normalize=True)


def assert_embeds(backbone, transform, inputs, features):
    torch.testing.assert_close(transform(random_image()), inputs)
    with torch.inference_mode():
        embedding = torch.nn.functional.normalize(backbone(inputs[None]))
    torch.testing.assert_close(embedding, features)


class TestFolder:
    @pytest.mark.parametrize("kind", CONFIGS)
    def test_embedding_is_that_of_encode_image(self, tmp_path, kind):
        folder = save(tmp_path / "tiny", kind)
        inputs, features = expected(f"local-dir:{folder}")
        backbone, transform, dim = build_backbone(f"open_clip:{folder}")
        assert_embeds(backbone, transform, inputs, features)
        assert features.shape == (1, dim) == (1, 24)
        assert (backbone.name, backbone.revision) == ("open_clip:tiny", None)
        assert not any("text" in key for key in backbone.state_dict())
        assert not any(parameter.requires_grad for parameter in backbone.parameters())

    def test_as_weights(self, saved, tmp_path):
        backbone, transform, _ = build_backbone("open_clip:mine", saved)
        assert_usable(
            backbone,
            transform,
            tmp_path,
            backbone="open_clip:mine",
            library="open_clip_torch",
            library_version=version("open_clip_torch"),
            weights="tiny/open_clip_model.safetensors",
            revision=None,
            image_size=32,
        )

    def test_random_weights_depend_on_the_seed_only(self, saved):
        before = torch.random.get_rng_state()
        hashes = [
            build_backbone(f"open_clip:{saved}", "random", seed=s)[0].weights_hash
            for s in (1, 1, 2)
        ]
        assert hashes[0] == hashes[1] != hashes[2]
        assert torch.equal(before, torch.random.get_rng_state())

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("open_clip_config.json", "contains no open_clip_config.json"),
            ("open_clip_model.safetensors", "contains no weights: expected one of open_clip_model"),
        ],
    )
    def test_incomplete(self, saved, name, message):
        (saved / name).unlink()
        with pytest.raises(FileNotFoundError, match=message):
            build_backbone(f"open_clip:{saved}")

    def test_rejects_other_configurations(self, saved):
        (saved / "open_clip_config.json").write_text("{}")
        with pytest.raises(ValueError, match="has no model_cfg, so OpenCLIP did not write it"):
            build_backbone(f"open_clip:{saved}")

    def test_nothing_is_unpickled(self, saved, tmp_path):
        class Evil:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "ran",))

        (saved / "open_clip_model.safetensors").unlink()
        content = pickle.dumps(Evil(), protocol=2)
        (saved / "open_clip_pytorch_model.bin").write_bytes(content)
        with pytest.raises(ValueError, match="is not a state dict that can be read without"):
            build_backbone(f"open_clip:{saved}")
        assert not (tmp_path / "ran").exists()


class TestHub:
    def test_repository(self, hub, saved):
        put_in_hub(hub, "me/tiny", saved.iterdir())
        inputs, features = expected(f"local-dir:{saved}")
        backbone, transform, _ = build_backbone("open_clip:me/tiny")
        assert_embeds(backbone, transform, inputs, features)
        assert (backbone.name, backbone.revision) == ("open_clip:me/tiny", COMMIT)
        assert backbone.weights == "me/tiny/open_clip_model.safetensors"
        same, _, _ = build_backbone("open_clip:hf-hub:me/tiny", revision=COMMIT)
        assert same.weights_hash == backbone.weights_hash

    def test_tag_has_its_own_preprocessing_and_activation(self, hub, saved, registered):
        put_in_hub(hub, "me/tiny", saved.iterdir())
        inputs, features = expected(
            "tiny",
            pretrained=str(saved / "open_clip_model.safetensors"),
            force_quick_gelu=True,
            image_mean=PREPROCESSING["mean"],
            image_std=PREPROCESSING["std"],
            image_resize_mode="squash",
        )
        backbone, transform, _ = build_backbone("open_clip:tiny/tag")
        assert_embeds(backbone, transform, inputs, features)
        assert (backbone.name, backbone.revision) == ("open_clip:tiny/tag", COMMIT)
        # These weights need an activation that the registered model does not have.
        _, plain = expected("tiny", pretrained=str(saved / "open_clip_model.safetensors"))
        assert not torch.allclose(plain, features)

    def test_safetensors_are_preferred(self, hub, saved, registered):
        snapshot = put_in_hub(hub, "me/tiny", saved.iterdir())
        state = open_clip.create_model(f"local-dir:{saved}").state_dict()
        (snapshot / "open_clip_pytorch_model.bin").write_bytes(b"no weights")
        backbone, _, _ = build_backbone("open_clip:tiny/tag")
        torch.save(state, snapshot / "open_clip_pytorch_model.bin")
        (snapshot / "open_clip_model.safetensors").unlink()
        other, _, _ = build_backbone("open_clip:tiny/tag")
        assert other.weights == "me/tiny/open_clip_pytorch_model.bin"
        assert other.weights_hash == backbone.weights_hash

    def test_missing_weights(self, hub, registered):
        with pytest.raises(FileNotFoundError, match="me/tiny is not in the cache"):
            build_backbone("open_clip:tiny/tag")
        put_in_hub(hub, "me/tiny", [])
        with pytest.raises(FileNotFoundError, match="contains no weights for OpenCLIP"):
            build_backbone("open_clip:tiny/tag")


class TestFile:
    def test_image_size(self, saved, registered):
        file = saved / "open_clip_model.safetensors"
        backbone, transform, dim = build_backbone("open_clip:tiny", file, image_size=64)
        assert transform(random_image()).shape == (3, 64, 64)
        assert (backbone.image_size, dim) == (64, 24)
        assert backbone.weights == "open_clip_model.safetensors"

    def test_rejects_weights_of_another_network(self, saved, registered, tmp_path):
        state = open_clip.create_model(f"local-dir:{saved}").state_dict()
        del state["visual.conv1.weight"]
        torch.save(state, tmp_path / "w.pt")
        message = r"w\.pt does not fit open_clip:tiny: .*visual\.conv1\.weight"
        with pytest.raises(ValueError, match=message):
            build_backbone("open_clip:tiny", tmp_path / "w.pt")

    def test_needs_a_registered_model(self, saved):
        with pytest.raises(ValueError, match="a folder, because OpenCLIP has no model called 'tin"):
            build_backbone("open_clip:tiny", saved / "open_clip_model.safetensors")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ViT-B-33", {}, "OpenCLIP has no model called 'ViT-B-33'; did you mean ViT-B-32"),
        ("ViT-B-32/mine", {}, "no weights 'mine' for ViT-B-32; known: openai, "),
        ("ViT-B-32", {}, "tag of the weights is missing: expected ViT-B-32/TAG; known: openai"),
        ("ViT-B-32", {"weights": "random", "revision": "main"}, "revision must be omitted"),
        ("ViT-B-32", {"trust_remote_code": True}, "OpenCLIP runs no code from a hub"),
    ],
)
def test_rejects(name, options, message):
    with pytest.raises(ValueError, match=message):
        build_backbone(f"open_clip:{name}", **options)


def test_command(run, fails, saved, tmp_path, monkeypatch):
    handlers = list(logging.root.handlers)
    words = ["extract", "digits", "--train-size", 5, "--out", tmp_path / "s"]
    words += ["--backbone", f"open_clip:{saved}"]
    status, out, err = run(*words)
    assert (status, err) == (0, "")
    assert "embeddings of length 24" in out
    assert EmbeddingStore.open(tmp_path / "s").meta["library"] == "open_clip_torch"
    assert logging.root.handlers == handlers
    monkeypatch.setitem(sys.modules, "open_clip", None)
    assert fails(*words).endswith("needs the package open_clip, which is not installed: "
                                  "pip install 'spectral_select[open_clip]'\n")  # fmt: skip
