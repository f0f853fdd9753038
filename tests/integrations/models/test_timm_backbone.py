"""Backbones from timm: small real architectures with random weights, saved in the test."""

import pickle
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from backbone_helpers import COMMIT, assert_usable, put_in_hub, random_image, use_offline_hub
from safetensors.torch import load_file, save_file

from spectral_select import EmbeddingStore
from spectral_select.integrations.models.backbones import build_backbone

timm = pytest.importorskip("timm", reason="needs the extra `timm`")


def network(name="test_vit", **options):
    torch.manual_seed(3)
    return timm.create_model(name, **options).eval()


def expected(model, image):
    """Return timm's preprocessing of an image, and the input of its classifier."""
    config = timm.data.resolve_model_data_config(model)
    inputs = timm.data.create_transform(**config, is_training=False)(image)
    with torch.inference_mode():
        features = model.forward_features(inputs[None])
        return inputs, model.forward_head(features, pre_logits=True)


def save(model, folder):
    """Save a model as timm does; return the folder."""
    timm.models.save_for_hf(model, folder, safe_serialization=True)
    return folder


@pytest.fixture
def hub(monkeypatch, tmp_path):
    return use_offline_hub(monkeypatch, tmp_path / "hub")


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "test_efficientnet", "test_convnext"])
def test_embedding_is_what_the_classifier_receives(name, tmp_path):
    model = network(name)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    backbone, transform, dim = build_backbone(f"timm:{name}", tmp_path / "w.safetensors")
    inputs, features = expected(model, random_image())
    torch.testing.assert_close(transform(random_image()), inputs)
    with torch.inference_mode():
        torch.testing.assert_close(backbone(inputs[None]), features)
    assert features.shape == (1, dim)
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    assert not any(module.training for module in backbone.modules())


class TestFiles:
    def test_last_layer_is_ignored(self, tmp_path):
        state = network().state_dict()
        rest = {k: v for k, v in state.items() if not k.startswith("head.")}
        other = rest | {"head.weight": torch.ones(7, 64), "head.bias": torch.ones(7)}
        hashes = set()
        for k, content in enumerate((state, rest, other)):
            torch.save({"state_dict": content}, tmp_path / f"{k}.pt")
            hashes.add(build_backbone("timm:test_vit", tmp_path / f"{k}.pt")[0].weights_hash)
        assert len(hashes) == 1

    def test_error_names_missing_weights(self, tmp_path):
        state = network().state_dict()
        del state["blocks.0.attn.qkv.weight"]
        torch.save(state, tmp_path / "w.pt")
        message = r"w\.pt does not fit timm:test_vit: .*blocks\.0\.attn\.qkv\.weight"
        with pytest.raises(ValueError, match=message):
            build_backbone("timm:test_vit", tmp_path / "w.pt")

    def test_rejects_weights_of_another_network(self, tmp_path):
        torch.save(network("test_resnet").state_dict(), tmp_path / "w.pt")
        with pytest.raises(ValueError, match=r"w\.pt does not fit timm:test_vit"):
            build_backbone("timm:test_vit", tmp_path / "w.pt")

    def test_nothing_is_unpickled(self, tmp_path):
        class Evil:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "ran",))

        (tmp_path / "w.bin").write_bytes(pickle.dumps(Evil(), protocol=2))
        with pytest.raises(ValueError, match=r"w\.bin is not a state dict that can"):
            build_backbone("timm:test_vit", tmp_path / "w.bin")
        assert not (tmp_path / "ran").exists()

    def test_missing_file(self):
        with pytest.raises(FileNotFoundError, match=r"no weights 'nope\.pt' for test_vit: "):
            build_backbone("timm:test_vit", "nope.pt")


class TestFolder:
    def test_has_its_own_preprocessing(self, tmp_path):
        model = network(pretrained_cfg_overlay={"mean": (0.1, 0.2, 0.3), "crop_pct": 0.5})
        folder = save(model, tmp_path / "mine")
        backbone, transform, _ = build_backbone("timm:test_vit", folder)
        inputs, features = expected(model, random_image())
        torch.testing.assert_close(transform(random_image()), inputs)
        with torch.inference_mode():
            torch.testing.assert_close(backbone(inputs[None]), features)
        assert backbone.weights == "mine/model.safetensors"

    def test_as_name(self, tmp_path):
        folder = save(network(), tmp_path / "mine")
        backbone, _, _ = build_backbone(f"timm:{folder}")
        assert (backbone.name, backbone.weights) == ("timm:mine", "mine/model.safetensors")
        same, _, _ = build_backbone(f"timm:{folder}", folder / "model.safetensors")
        assert same.weights_hash == backbone.weights_hash
        with pytest.raises(ValueError, match=r"revision must be omitted, because .*is a folder"):
            build_backbone(f"timm:{folder}", revision="main")

    def test_rejects_folder_of_another_network(self, tmp_path):
        folder = save(network(), tmp_path)
        with pytest.raises(ValueError, match="contains the network 'test_vit', not 'test_resnet'"):
            build_backbone("timm:test_resnet", folder)

    @pytest.mark.parametrize(
        ("name", "message"),
        [("config.json", "contains no config.json from timm"), ("model.safetensors", "no weights")],
    )
    def test_incomplete(self, tmp_path, name, message):
        (save(network(), tmp_path) / name).unlink()
        with pytest.raises(FileNotFoundError, match=message):
            build_backbone("timm:test_vit", tmp_path)

    def test_rejects_folder_without_architecture(self, tmp_path):
        (save(network(), tmp_path) / "config.json").write_text('{"model_type": "bert"}')
        with pytest.raises(ValueError, match="names no architecture"):
            build_backbone("timm:test_vit", tmp_path)


class TestHub:
    def test_registered_weights_come_from_the_cache(self, hub, tmp_path):
        folder = save(network(), tmp_path / "saved")
        put_in_hub(hub, "timm/test_vit.r160_in1k", [folder / "model.safetensors"])
        backbone, transform, _ = build_backbone("timm:test_vit")
        inputs, features = expected(network(), random_image())
        with torch.inference_mode():
            torch.testing.assert_close(backbone(inputs[None]), features)
        assert_usable(
            backbone,
            transform,
            tmp_path,
            backbone="timm:test_vit.r160_in1k",
            library="timm",
            library_version=version("timm"),
            weights="timm/test_vit.r160_in1k/model.safetensors",
            revision=COMMIT,
            image_size=160,
        )

    def test_repository_has_its_own_preprocessing(self, hub, tmp_path):
        model = network(pretrained_cfg_overlay={"std": (0.5, 0.5, 0.5)}, num_classes=3)
        put_in_hub(hub, "me/mine", save(model, tmp_path / "saved").iterdir())
        backbone, transform, _ = build_backbone("timm:me/mine")
        inputs, features = expected(model, random_image())
        torch.testing.assert_close(transform(random_image()), inputs)
        with torch.inference_mode():
            torch.testing.assert_close(backbone(inputs[None]), features)
        assert (backbone.name, backbone.revision) == ("timm:me/mine", COMMIT)
        same, _, _ = build_backbone("timm:hf-hub:me/mine", revision=COMMIT)
        assert same.weights_hash == backbone.weights_hash
        random, _, _ = build_backbone("timm:me/mine", "random")
        assert random.weights_hash != backbone.weights_hash

    def test_safetensors_are_preferred(self, hub, tmp_path):
        folder = save(network(), tmp_path / "saved")
        (folder / "pytorch_model.bin").write_bytes(b"no weights")
        snapshot = put_in_hub(hub, "timm/test_vit.r160_in1k", folder.iterdir())
        backbone, _, _ = build_backbone("timm:test_vit")
        assert backbone.weights.endswith("model.safetensors")
        torch.save(load_file(folder / "model.safetensors"), snapshot / "pytorch_model.bin")
        (snapshot / "model.safetensors").unlink()
        other, _, _ = build_backbone("timm:test_vit")
        assert other.weights.endswith("pytorch_model.bin")
        assert other.weights_hash == backbone.weights_hash

    def test_missing_weights(self, hub, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"timm/test_vit\.r160_\w+ is not in the"):
            build_backbone("timm:test_vit")
        with pytest.raises(FileNotFoundError, match="at revision v2 is not in the cache"):
            build_backbone("timm:test_vit", revision="v2")
        put_in_hub(hub, "timm/test_vit.r160_in1k", [])
        with pytest.raises(FileNotFoundError, match="contains no weights for timm"):
            build_backbone("timm:test_vit")
        with pytest.raises(FileNotFoundError, match=r"only at https://.*; download them"):
            build_backbone("timm:gcvit_xxtiny")
        with pytest.raises(FileNotFoundError, match="no pretrained weights for botnet50ts"):
            build_backbone("timm:botnet50ts_256")


def test_image_size(tmp_path):
    save_file(network().state_dict(), tmp_path / "w.safetensors")
    backbone, transform, _ = build_backbone(
        "timm:test_vit", tmp_path / "w.safetensors", image_size=96
    )
    resized, _, _ = build_backbone("timm:test_resnet", "random", image_size=64)
    assert transform(random_image()).shape == (3, 96, 96)
    assert (backbone.image_size, resized.image_size) == (96, 64)
    unchanged, _, _ = build_backbone("timm:test_vit", tmp_path / "w.safetensors", image_size=160)
    assert "pos_embed" in unchanged.network.state_dict()
    position = backbone.network.state_dict()["pos_embed"]
    assert position.shape[1] == 1 + (96 // 16) ** 2


def test_random_weights_depend_on_the_seed_only():
    before = torch.random.get_rng_state()
    hashes = [build_backbone("timm:test_vit", "random", seed=s)[0].weights_hash for s in (1, 1, 2)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("timm:test_vot", {}, r"timm has no model called 'test_vot'; did you mean .*test_vit"),
        ("timm:test_vit.in22k", {}, "no weights 'in22k' for test_vit; known: r160_in1k"),
        ("timm:", {}, "the model's name is missing after 'timm:'"),
        ("time:test_vit", {}, "no library 'time' in 'time:test_vit'; expected one of .*timm"),
        ("timm:test_vit", {"weights": "random", "revision": "main"}, "revision must be omitted"),
        ("timm:test_vit", {"trust_remote_code": True}, "timm runs no code from a hub"),
        ("timm:test_vit", {"image_size": 0}, "image_size must be an integer from 1 to 4096"),
    ],
)
def test_rejects(name, options, message):
    with pytest.raises(ValueError, match=message):
        build_backbone(name, **options)


def test_command(run, fails, tmp_path, monkeypatch):
    save_file(network().state_dict(), tmp_path / "w.safetensors")
    words = ["extract", "digits", "--train-size", 5, "--out", tmp_path / "s", "--image-size", 32]
    words += ["--backbone", "timm:test_vit", "--weights", tmp_path / "w.safetensors"]
    status, out, err = run(*words)
    assert (status, err) == (0, "")
    assert "embeddings of length 64" in out
    meta = EmbeddingStore.open(tmp_path / "s").meta
    assert (meta["backbone"], meta["library"]) == ("timm:test_vit", "timm")
    assert (meta["weights"], meta["revision"]) == ("w.safetensors", None)
    monkeypatch.setitem(sys.modules, "timm", None)
    assert fails(*words).endswith("needs the package timm, which is not installed: "
                                  "pip install 'spectral_select[timm]'\n")  # fmt: skip
