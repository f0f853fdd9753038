"""Backbones from transformers: small real architectures with random weights, saved in the test."""

import json
import pickle
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from backbone_helpers import COMMIT, assert_usable, put_in_hub, random_image, use_offline_hub
from torch.utils.data import TensorDataset

from spectral_select import EmbeddingStore
from spectral_select.integrations.models.backbones import build_backbone
from spectral_select.integrations.models.embedding_extraction import extract_embeddings

transformers = pytest.importorskip("transformers", reason="needs the extra `hf`")

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = SMALL | {"intermediate_size": 64, "image_size": 32, "patch_size": 8}
TEXT = SMALL | {"intermediate_size": 64, "vocab_size": 50}
SQUARE = {"height": 32, "width": 32}
CROPPED = {"size": {"shortest_edge": 40}, "crop_size": SQUARE}


def two_towers(name, **options):
    config = getattr(transformers, f"{name}Config")(
        vision_config=VISION, text_config=TEXT, **options
    )
    return getattr(transformers, f"{name}Model")(config)


def make(kind):
    """Return a small model of a kind, its image processor, and the length of an embedding."""
    t = transformers
    if kind == "dinov2":
        return t.Dinov2Model(t.Dinov2Config(**VISION)), t.BitImageProcessor(**CROPPED), 32
    if kind == "clip":
        return two_towers("CLIP", projection_dim=24), t.CLIPImageProcessor(**CROPPED), 24
    if kind == "siglip":
        return two_towers("Siglip"), t.SiglipImageProcessor(size=SQUARE), 32
    if kind == "clip-vision":
        model = t.CLIPVisionModel(t.CLIPVisionConfig(**VISION))
        return model, t.CLIPImageProcessor(**CROPPED), 32
    if kind == "vit":
        return t.ViTModel(t.ViTConfig(**VISION)), t.ViTImageProcessor(size=SQUARE), 32
    config = t.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
    return t.ResNetModel(config), t.ConvNextImageProcessor(size={"shortest_edge": 32}), 16


def save(folder, kind="dinov2"):
    """Save a model with its image processor; return the folder."""
    torch.manual_seed(3)
    model, processor, _ = make(kind)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def expected(folder, kind):
    """Return transformers' own preprocessing of an image, and its embedding."""
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    inputs = processor(images=random_image(), return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        towers = kind in ("clip", "siglip")
        output = (model.get_image_features if towers else model)(pixel_values=inputs)
        return inputs[0], output.pooler_output.flatten(1)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    return use_offline_hub(monkeypatch, tmp_path / "hub")


@pytest.fixture
def saved(tmp_path):
    return save(tmp_path / "tiny")


class Evil:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


class TestFolder:
    @pytest.mark.parametrize("kind", ["dinov2", "clip", "siglip", "clip-vision", "vit", "resnet"])
    def test_embedding_is_that_of_transformers(self, tmp_path, kind):
        folder = save(tmp_path / kind, kind)
        inputs, features = expected(folder, kind)
        backbone, transform, dim = build_backbone(f"hf:{folder}")
        torch.testing.assert_close(transform(random_image()), inputs)
        with torch.inference_mode():
            torch.testing.assert_close(backbone(inputs[None]), features)
        assert features.shape == (1, dim) == (1, make(kind)[2])
        assert (backbone.name, backbone.image_size) == (f"hf:{kind}", 32)
        assert not any("text" in key for key in backbone.state_dict())
        assert not any(parameter.requires_grad for parameter in backbone.parameters())
        assert not any(module.training for module in backbone.modules())

    def test_class_token_replaces_a_pooling_layer_without_weights(self, tmp_path):
        config = transformers.ViTConfig(**VISION)
        model = transformers.ViTForImageClassification(config).eval()
        model.save_pretrained(tmp_path)
        transformers.ViTImageProcessor(size=SQUARE).save_pretrained(tmp_path)
        backbone, transform, _ = build_backbone(f"hf:{tmp_path}")
        inputs = transform(random_image())[None]
        with torch.inference_mode():
            logits = model.classifier(backbone(inputs))
            torch.testing.assert_close(logits, model(pixel_values=inputs).logits)

    def test_tokens_without_class_token_are_averaged(self, tmp_path):
        model = transformers.IJepaModel(transformers.IJepaConfig(**VISION)).eval()
        model.save_pretrained(tmp_path)
        transformers.ViTImageProcessor(size=SQUARE).save_pretrained(tmp_path)
        backbone, transform, _ = build_backbone(f"hf:{tmp_path}")
        inputs = transform(random_image())[None]
        with torch.inference_mode():
            tokens = model(pixel_values=inputs).last_hidden_state
            torch.testing.assert_close(backbone(inputs), tokens.mean(1))

    def test_as_weights(self, saved, tmp_path):
        backbone, transform, _ = build_backbone("hf:me/mine", saved)
        assert_usable(
            backbone,
            transform,
            tmp_path,
            backbone="hf:me/mine",
            library="transformers",
            library_version=version("transformers"),
            weights="tiny/model.safetensors",
            revision=None,
            image_size=32,
        )

    def test_random_weights_depend_on_the_seed_only(self, saved):
        before = torch.random.get_rng_state()
        hashes = [
            build_backbone(f"hf:{saved}", "random", seed=s)[0].weights_hash for s in (1, 1, 2)
        ]
        assert hashes[0] == hashes[1] != hashes[2]
        assert torch.equal(before, torch.random.get_rng_state())

    @pytest.mark.parametrize("kind", ["dinov2", "clip", "siglip", "resnet"])
    def test_image_size(self, tmp_path, kind):
        folder = save(tmp_path / kind, kind)
        backbone, transform, _ = build_backbone(f"hf:{folder}", image_size=64)
        assert transform(random_image()).shape == (3, 64, 64)
        assert backbone.image_size == 64

    def test_half_precision_weights_are_converted(self, saved):
        full, _, _ = build_backbone(f"hf:{saved}")
        make("dinov2")[0].half().save_pretrained(saved)
        backbone, _, _ = build_backbone(f"hf:{saved}")
        assert {value.dtype for value in backbone.parameters()} == {torch.float32}
        assert backbone.weights_hash != full.weights_hash


class TestFile:
    @pytest.mark.parametrize("suffix", ["safetensors", "pt"])
    def test_weights_of_a_file(self, saved, tmp_path, suffix):
        backbone, _, _ = build_backbone(f"hf:{saved}")
        file = saved / "model.safetensors"
        if suffix == "pt":
            file = tmp_path / "w.pt"
            torch.save(transformers.AutoModel.from_pretrained(saved).state_dict(), file)
        other, _, _ = build_backbone(f"hf:{saved}", file)
        assert (other.weights, other.weights_hash) == (file.name, backbone.weights_hash)

    def test_error_names_missing_weights(self, saved, tmp_path):
        state = transformers.AutoModel.from_pretrained(saved).state_dict()
        del state["layernorm.weight"]
        torch.save(state, tmp_path / "w.pt")
        message = r"w\.pt does not fit hf:tiny: 1 weights are missing \(layernorm\.weight\)"
        with pytest.raises(ValueError, match=message):
            build_backbone(f"hf:{saved}", tmp_path / "w.pt")

    def test_rejects_wrong_shapes(self, saved, tmp_path):
        state = transformers.AutoModel.from_pretrained(saved).state_dict()
        torch.save(state | {"layernorm.weight": torch.ones(3)}, tmp_path / "w.pt")
        with pytest.raises(ValueError, match="hf:tiny cannot be loaded"):
            build_backbone(f"hf:{saved}", tmp_path / "w.pt")

    def test_nothing_is_unpickled(self, saved, tmp_path):
        content = pickle.dumps(Evil(tmp_path / "ran"), protocol=2)
        (tmp_path / "w.pt").write_bytes(content)
        with pytest.raises(ValueError, match="is not a state dict that can be read without"):
            build_backbone(f"hf:{saved}", tmp_path / "w.pt")
        (saved / "model.safetensors").unlink()
        torch.save({"weight": Evil(tmp_path / "ran")}, saved / "pytorch_model.bin")
        with pytest.raises(ValueError, match="of hf:tiny would run code that the file contains"):
            build_backbone(f"hf:{saved}")
        assert not (tmp_path / "ran").exists()

    def test_missing_file(self, saved):
        with pytest.raises(FileNotFoundError, match=r"no weights 'nope\.pt' for"):
            build_backbone(f"hf:{saved}", "nope.pt")


class TestHub:
    def test_repository(self, hub, saved):
        local, _, _ = build_backbone(f"hf:{saved}")
        put_in_hub(hub, "me/tiny", saved.iterdir())
        backbone, _, _ = build_backbone("hf:me/tiny")
        assert (backbone.name, backbone.revision) == ("hf:me/tiny", COMMIT)
        assert backbone.weights == "me/tiny/model.safetensors"
        assert backbone.weights_hash == local.weights_hash
        build_backbone("hf:me/tiny", revision=COMMIT)
        random, _, _ = build_backbone("hf:me/tiny", "random")
        assert random.revision is None

    def test_safetensors_are_preferred(self, hub, saved):
        snapshot = put_in_hub(hub, "me/tiny", saved.iterdir())
        state = transformers.AutoModel.from_pretrained(saved).state_dict()
        (snapshot / "pytorch_model.bin").write_bytes(b"no weights")
        backbone, _, _ = build_backbone("hf:me/tiny")
        torch.save(state, snapshot / "pytorch_model.bin")
        (snapshot / "model.safetensors").unlink()
        other, _, _ = build_backbone("hf:me/tiny")
        assert other.weights == "me/tiny/pytorch_model.bin"
        assert other.weights_hash == backbone.weights_hash

    def test_missing_repository(self, hub):
        with pytest.raises(FileNotFoundError, match="me/other is not in the cache"):
            build_backbone("hf:me/other")
        with pytest.raises(ValueError, match="is not a repository ORG/NAME"):
            build_backbone("hf:a/b/c")


CODE = """
from pathlib import Path
import torch
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

Path({ran!r}).touch()


class OwnConfig(PretrainedConfig):
    model_type = "own"


class OwnModel(PreTrainedModel):
    config_class = OwnConfig
    main_input_name = "pixel_values"

    def __init__(self, config):
        super().__init__(config)
        self.layer = torch.nn.Linear(3, 5)
        self.post_init()

    def forward(self, pixel_values):
        return BaseModelOutputWithPooling(pooler_output=self.layer(pixel_values.mean((2, 3))))
"""


class TestRemoteCode:
    @pytest.fixture
    def folder(self, saved, tmp_path, monkeypatch):
        monkeypatch.setattr(
            transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules")
        )
        (saved / "own.py").write_text(CODE.format(ran=str(tmp_path / "ran")))
        auto_map = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}
        (saved / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": auto_map}))
        state = {"layer.weight": torch.ones(5, 3), "layer.bias": torch.zeros(5)}
        (saved / "model.safetensors").unlink()
        torch.save(state, saved / "pytorch_model.bin")
        return saved

    def test_is_refused(self, folder, tmp_path, fails):
        with pytest.raises(ValueError, match=r"hf:tiny must run Python code from its own repos"):
            build_backbone(f"hf:{folder}")
        message = fails("extract", "digits", "--out", tmp_path / "s", "--backbone", f"hf:{folder}")
        assert message.endswith("pass trust_remote_code=True (--trust-remote-code)\n")
        assert not (tmp_path / "ran").exists()

    def test_runs_with_the_flag(self, folder, tmp_path, run):
        words = ["extract", "digits", "--train-size", 5, "--out", tmp_path / "s"]
        status, out, err = run(*words, "--backbone", f"hf:{folder}", "--trust-remote-code")
        assert (status, err) == (0, "")
        assert "embeddings of length 5" in out
        assert (tmp_path / "ran").exists()


class TestBadInput:
    def test_rejects_folder_without_processor(self, saved):
        (saved / "preprocessor_config.json").unlink()
        with pytest.raises(FileNotFoundError, match="hf:tiny has no image processor, such as"):
            build_backbone(f"hf:{saved}")

    def test_rejects_folder_without_weights(self, saved):
        (saved / "model.safetensors").unlink()
        with pytest.raises(FileNotFoundError, match="no weights: expected one of model"):
            build_backbone(f"hf:{saved}")

    def test_rejects_folder_without_configuration(self, saved):
        (saved / "config.json").unlink()
        with pytest.raises(FileNotFoundError, match=r"contains no config\.json"):
            build_backbone(f"hf:{saved}")

    def test_rejects_unknown_architecture(self, saved):
        (saved / "config.json").write_text('{"model_type": "unknown"}')
        with pytest.raises(ValueError, match=r"hf:tiny cannot be loaded: .*unknown"):
            build_backbone(f"hf:{saved}")

    def test_rejects_text_models(self, saved):
        config = transformers.BertConfig(**TEXT)
        transformers.BertModel(config).save_pretrained(saved)
        with pytest.raises(ValueError, match="BertModel is not an image model"):
            build_backbone(f"hf:{saved}")

    def test_rejects_random_embeddings(self, tmp_path):
        model = transformers.ViTMAEModel(transformers.ViTMAEConfig(**VISION))
        model.save_pretrained(tmp_path)
        transformers.ViTImageProcessor(size=SQUARE).save_pretrained(tmp_path)
        with pytest.raises(ValueError, match="returns a different embedding each time"):
            build_backbone(f"hf:{tmp_path}")

    def test_rejects_revision_of_a_folder(self, saved):
        with pytest.raises(ValueError, match=r"revision must be omitted, because .* is a folder"):
            build_backbone(f"hf:{saved}", revision="main")


def test_command(run, fails, saved, tmp_path, monkeypatch, capsys):
    capsys.readouterr()  # transformers shows its progress in saving the model
    words = ["extract", "digits", "--train-size", 5, "--out", tmp_path / "s"]
    words += ["--backbone", f"hf:{saved}"]
    status, out, err = run(*words)
    assert (status, err) == (0, "")
    assert "embeddings of length 32" in out
    assert EmbeddingStore.open(tmp_path / "s").meta["library"] == "transformers"
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert fails(*words).endswith("needs the package transformers, which is not installed: "
                                  "pip install 'spectral_select[hf]'\n")  # fmt: skip


@pytest.mark.parametrize(
    "output", ["pooler_output", 1, lambda result: result.last_hidden_state[:, 0]]
)
def test_outputs_of_a_module_of_transformers(output, tmp_path):
    model, _, dim = make("dinov2")
    images = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    store = extract_embeddings(TensorDataset(images), model.train(), tmp_path, output=output)
    with torch.inference_mode():
        expected = model.eval()(pixel_values=images).pooler_output
    assert store.features.shape == (6, dim)
    torch.testing.assert_close(torch.tensor(store.features), expected, rtol=1e-3, atol=1e-4)
    message = "got a BaseModelOutputWithPooling of 'last_hidden_state': Tensor .*'pooler_output'"
    with pytest.raises(TypeError, match=message):
        extract_embeddings(TensorDataset(images), model, tmp_path / "t")
