"""Networks by name: embeddings, weights from all sources, and rejected input."""

import pickle
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision.transforms.functional import normalize

from spectral_select.integrations.models.backbones import (
    PIXELS,
    build_backbone,
    build_classifier,
    hash_weights,
)
from spectral_select.integrations.models.libraries.interface import (
    RgbTransform,
    finish,
)
from spectral_select.integrations.models.libraries.request import BackboneRequest
from spectral_select.integrations.models.pretrained_weights import read_state_dict


def images(n=2, side=64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, 3, side, side, generator=generator)


@pytest.mark.parametrize(
    ("name", "dim"),
    [
        ("resnet18", 512),
        ("resnet50", 2048),
        ("squeezenet1_0", 512),
        ("mobilenet_v3_small", 1024),
        ("shufflenet_v2_x0_5", 1024),
        ("efficientnet_b0", 1280),
        ("googlenet", 1024),
        ("mnasnet0_5", 1280),
        ("regnet_x_400mf", 400),
    ],
)
def test_last_layer_on_the_embedding_gives_the_logits(name, dim):
    backbone, _, length = build_backbone(name, "random", image_size=64)
    whole = build_classifier(name, 1000, "random").eval()
    head = [m for m in whole.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    keys = backbone.network.state_dict()
    whole.load_state_dict(keys, strict=False)  # all but the last layer
    x = images()
    with torch.inference_mode():
        embedding = backbone(x)
        expected = whole(x)
        if isinstance(head, nn.Linear):
            torch.testing.assert_close(head(embedding), expected)
        else:
            torch.testing.assert_close(embedding, whole.features(x).mean((2, 3)))
    assert embedding.shape == (2, dim)
    assert length == backbone.dim == dim


def test_pixels_are_the_image_itself():
    backbone, transform, dim = build_backbone(PIXELS, image_size=8)
    pixels = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8)
    image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    assert torch.equal(transform(image), pixels)
    found = backbone(torch.stack([pixels] * 2).contiguous(memory_format=torch.channels_last))
    assert found.shape == (2, dim) == (2, 192)
    torch.testing.assert_close(found[0], pixels.flatten() / 255)
    assert build_backbone(PIXELS)[0].image_size == 32
    with pytest.raises(ValueError, match="'pixels' has no weights, so leave weights"):
        build_backbone(PIXELS, "some.pt")


def test_transformer_at_its_default_size():
    backbone, transform, dim = build_backbone("vit_b_32", "random")
    out = backbone(transform(Image.new("RGB", (300, 260)))[None])
    assert out.shape == (1, dim) == (1, 768)


def test_resnet_embedding_is_the_pooled_feature():
    backbone, _, _ = build_backbone("resnet18", "random", image_size=64, seed=3)
    reference = torchvision.models.resnet18()
    reference.load_state_dict(backbone.network.state_dict(), strict=False)
    reference.fc = nn.Identity()
    x = images()
    with torch.inference_mode():
        torch.testing.assert_close(backbone(x), reference.eval()(x))


def test_bytes_are_normalized_with_imagenet_statistics():
    backbone, transform, _ = build_backbone("resnet18", "random", image_size=40)
    pixels = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    tensor = transform(Image.fromarray(pixels))
    assert tensor.dtype == torch.uint8
    assert tensor.shape == (3, 40, 40)
    normal = normalize(tensor / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    with torch.inference_mode():
        torch.testing.assert_close(backbone(tensor[None]), backbone(normal[None]))


@pytest.mark.parametrize("size", [(300, 250), (250, 300), (90, 400), (224, 224), (7, 5)])
def test_default_transform_is_torchvisions_within_rounding(size):
    _, transform, _ = build_backbone("resnet18", "random")
    preset = torchvision.models.ResNet18_Weights.DEFAULT.transforms()
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    normal = normalize(transform(image) / 255, preset.mean, preset.std)
    one_level = 1.01 / 255 / min(preset.std)
    torch.testing.assert_close(normal, preset(image), atol=one_level, rtol=0)


@pytest.mark.parametrize("size", [(1, 12_000), (12_000, 1)])
def test_long_and_thin_images_are_not_resized_whole(size, monkeypatch):
    _, transform, _ = build_backbone("squeezenet1_1", "random")
    sizes = []
    resize = Image.Image.resize
    monkeypatch.setattr(
        Image.Image,
        "resize",
        lambda self, to, *args, **kwargs: sizes.append(to) or resize(self, to, *args, **kwargs),
    )
    assert transform(Image.new("RGB", size, (9, 8, 7)))[:, 0, 0].tolist() == [9, 8, 7]
    assert sizes == [(224, 224)]


def test_transform_scales_images_that_are_not_8_bit():
    _, transform, _ = build_backbone("squeezenet1_1", "random", image_size=32)
    gray = Image.fromarray(np.full((40, 40), 32768, np.uint16))
    assert (transform(gray) == 128).all()
    assert (transform(torch.full((3, 40, 40), 0.5)) == 128).all()
    with pytest.raises(ValueError, match="32-bit integers of unknown range"):
        transform(Image.new("I", (40, 40)))


def test_backbone_is_frozen_and_in_evaluation_mode():
    backbone, _, _ = build_backbone("resnet18", "random", image_size=32)
    assert not any(module.training for module in backbone.modules())
    assert not any(parameter.requires_grad for parameter in backbone.parameters())


def test_random_weights_depend_on_the_seed_only():
    before = torch.random.get_rng_state()
    one, same, other = (
        build_backbone("squeezenet1_1", "random", image_size=32, seed=seed)[0] for seed in (1, 1, 2)
    )
    assert one.weights_hash == same.weights_hash != other.weights_hash
    heads = [build_classifier("resnet18", 3, seed=seed) for seed in (1, 1, 2)]
    assert hash_weights(heads[0]) == hash_weights(heads[1]) != hash_weights(heads[2])
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.fixture(scope="module")
def state():
    return build_classifier("squeezenet1_1", 1000, seed=5).state_dict()


class TestFiles:
    @pytest.mark.parametrize("form", ["safetensors", "pt", "wrapped", "parallel", "legacy"])
    def test_file_formats(self, state, tmp_path, form):
        path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
        if form == "safetensors":
            save_file(state, path)
        elif form == "wrapped":
            torch.save({"state_dict": state, "epoch": 3}, path)
        elif form == "parallel":
            torch.save({f"module.{k}": v for k, v in state.items()}, path)
        else:
            torch.save(state, path, _use_new_zipfile_serialization=form != "legacy")
        backbone, _, _ = build_backbone("squeezenet1_1", path, image_size=32)
        reference = torchvision.models.squeezenet1_1()
        reference.load_state_dict(state)
        x = images(side=32)
        with torch.inference_mode():
            expected = reference.eval().features(x).mean((2, 3))
            torch.testing.assert_close(backbone(x), expected)
        assert backbone.weights == path.name

    def test_backbone_ignores_the_last_layer(self, state, tmp_path):
        rest = {k: v for k, v in state.items() if not k.startswith("classifier")}
        other = rest | {"classifier.1.weight": torch.ones(3, 512, 1, 1)}
        hashes = set()
        for k, content in enumerate((rest, other, state)):
            torch.save(content, tmp_path / f"{k}.pt")
            hashes.add(build_backbone("squeezenet1_1", tmp_path / f"{k}.pt")[0].weights_hash)
        assert len(hashes) == 1

    def test_classifier_loads_all_but_the_last_layer(self, state, tmp_path):
        torch.save(state, tmp_path / "w.pt")
        network = build_classifier("squeezenet1_1", 4, tmp_path / "w.pt")
        own = network.state_dict()
        for key, value in state.items():
            if not key.startswith("classifier"):
                assert torch.equal(own[key], value), key
        assert torch.equal(network(images(side=32)), torch.zeros(2, 4))

    def test_first_step_changes_only_the_last_layer(self, state, tmp_path):
        torch.save(state, tmp_path / "w.pt")
        network = build_classifier("squeezenet1_1", 4, tmp_path / "w.pt")
        nn.functional.cross_entropy(network(images(side=32)), torch.tensor([0, 1])).backward()
        changed = {name for name, p in network.named_parameters() if p.grad.any()}
        assert changed == {"classifier.1.weight", "classifier.1.bias"}

    def test_loads_files_without_batch_counters(self, tmp_path):
        state = build_classifier("resnet18", 1000).state_dict()
        old = {k: v for k, v in state.items() if "num_batches_tracked" not in k}
        torch.save(old, tmp_path / "old.pth")
        build_backbone("resnet18", tmp_path / "old.pth", image_size=32)

    def test_loads_formats_without_module_versions(self, tmp_path):
        save_file(build_classifier("mnasnet0_5", 1000).state_dict(), tmp_path / "w.safetensors")
        build_backbone("mnasnet0_5", tmp_path / "w.safetensors", image_size=32)

    def test_names_missing_and_unexpected_keys(self, state, tmp_path):
        torch.save(state, tmp_path / "w.pt")
        with pytest.raises(
            ValueError,
            match=r"w\.pt does not fit resnet18: \d+ missing \(conv1\.weight.*unexpected",
        ):
            build_backbone("resnet18", tmp_path / "w.pt")

    def test_names_wrong_shapes(self, state, tmp_path):
        bad = dict(state) | {"features.0.weight": torch.ones(2, 2)}
        torch.save(bad, tmp_path / "w.pt")
        with pytest.raises(ValueError, match=r"features\.0\.weight: \(2, 2\), expected \(64, 3"):
            build_backbone("squeezenet1_1", tmp_path / "w.pt")

    @pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
    @pytest.mark.parametrize("content", [b"", b"root:x:0:0:root:/root:/bin/bash\n", b"\x80\x04."])
    def test_rejects_other_content(self, tmp_path, suffix, content):
        path = tmp_path / f"rubbish{suffix}"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"rubbish\.\w+ is not a "):
            build_backbone("resnet18", path)

    @pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
    def test_rejects_truncated_file(self, state, tmp_path, suffix):
        path = tmp_path / f"cut{suffix}"
        save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
        path.write_bytes(path.read_bytes()[:5000])
        with pytest.raises(ValueError, match="cut"):
            build_backbone("squeezenet1_1", path)

    def test_unpickles_nothing(self, tmp_path):
        class Evil:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "ran",))

        (tmp_path / "one.pt").write_bytes(pickle.dumps(Evil(), protocol=2))
        torch.save({"weight": Evil()}, tmp_path / "two.pt")
        for name in ("one.pt", "two.pt"):
            with pytest.raises(ValueError, match="without running code"):
                read_state_dict(tmp_path / name)
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize("content", [{}, {"weight": 3}, [torch.ones(1)], torch.ones(1)])
    def test_rejects_content_that_is_not_a_state_dict(self, tmp_path, content):
        torch.save(content, tmp_path / "w.pt")
        with pytest.raises(ValueError, match="expected named tensors"):
            read_state_dict(tmp_path / "w.pt")

    def test_rejects_folder(self, tmp_path):
        with pytest.raises(IsADirectoryError, match="is a folder; expected a file"):
            build_backbone("resnet18", tmp_path)

    def test_rejects_missing_file(self):
        with pytest.raises(
            FileNotFoundError, match=r"no weights 'nope\.pt' for resnet18: expected 'default'"
        ):
            build_backbone("resnet18", "nope.pt")


class TestPretrained:
    """Torchvision's own entries, with a cache that contains the files to be downloaded."""

    @pytest.fixture(autouse=True)
    def cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        folder = tmp_path / "hub" / "checkpoints"
        folder.mkdir(parents=True)
        return folder

    @pytest.mark.parametrize("name", ["resnet18", "densenet121"])
    def test_default_equals_torchvision(self, cache, name):
        entry = torchvision.models.get_model_weights(name).DEFAULT
        state = build_classifier(name, 1000, seed=7).state_dict()
        if name == "densenet121":  # these files have an older layout
            state = {
                k.replace("norm1", "norm.1").replace("norm2", "norm.2")
                .replace("conv1", "conv.1").replace("conv2", "conv.2"): v
                for k, v in state.items()
                if "num_batches_tracked" not in k
            }  # fmt: skip
        torch.save(state, cache / Path(entry.url).name)
        backbone, _, _ = build_backbone(name, "default", image_size=64)
        assert backbone.weights == str(entry)
        named, _, _ = build_backbone(name, entry.name, image_size=64)
        assert named.weights_hash == backbone.weights_hash
        whole = torchvision.models.get_model(name, weights=entry).eval()
        head = [m for m in whole.modules() if isinstance(m, nn.Linear)][-1]
        x = images()
        with torch.inference_mode():
            torch.testing.assert_close(head(backbone(x)), whole(x))

    def test_reports_failed_download(self, monkeypatch):
        def fail(*args, **kwargs):
            raise OSError("no route to host")

        monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
        with pytest.raises(
            FileNotFoundError, match=r"resnet18-\w+\.pth and could not be downloaded \(no route"
        ):
            build_backbone("resnet18")

    def test_rejects_cached_pickle(self, cache, tmp_path):
        class Evil:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "ran",))

        entry = torchvision.models.ResNet18_Weights.DEFAULT
        torch.save({"weight": Evil()}, cache / Path(entry.url).name)
        with pytest.raises(ValueError, match="is not a state dict; remove it"):
            build_classifier("resnet18", 3, "default")
        assert not (tmp_path / "ran").exists()


class TestClassifier:
    @pytest.mark.parametrize("name", ["resnet18", "squeezenet1_0", "mobilenet_v3_small"])
    def test_gives_logits_and_trains(self, name):
        network = build_classifier(name, 7)
        assert network.training
        out = network(images())
        assert out.shape == (2, 7)
        out.sum().backward()
        assert all(parameter.grad is not None for parameter in network.parameters())

    @pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
    def test_auxiliary_classifiers_are_off(self, name):
        out = build_classifier(name, 5)(images(side=96))
        assert isinstance(out, torch.Tensor)
        assert out.shape == (2, 5)

    def test_small_input_keeps_the_resolution(self):
        network = build_classifier("resnet18", 3, small_input=True)
        seen = []
        network.layer1.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape))
        network(images(side=32))
        assert seen == [(2, 64, 32, 32)]

    def test_rejects_small_input_for_other_networks(self):
        with pytest.raises(ValueError, match=r"small_input is for ResNets.*got 'squeezenet1_0'"):
            build_classifier("squeezenet1_0", 3, small_input=True)

    @pytest.mark.parametrize("n_classes", [0, -1, 2.0, True, None])
    def test_rejects_invalid_n_classes(self, n_classes):
        with pytest.raises(ValueError, match="n_classes must be a positive integer; got"):
            build_classifier("resnet18", n_classes)


class TestBadInput:
    def test_rejects_unknown_model(self):
        with pytest.raises(ValueError, match="called 'resnet51'; did you mean resnet"):
            build_backbone("resnet51", "random")

    def test_rejects_detection_models(self):
        with pytest.raises(ValueError, match="torchvision has no classification model"):
            build_backbone("fasterrcnn_resnet50_fpn", "random")

    @pytest.mark.parametrize(
        ("name", "size", "reason"), [("alexnet", 16, "too small"), ("vit_b_32", 32, "Expected 224")]
    )
    def test_rejects_unsupported_image_size(self, name, size, reason):
        with pytest.raises(ValueError, match=rf"{name} does not accept {size} px images.*{reason}"):
            build_backbone(name, "random", image_size=size)

    @pytest.mark.parametrize("size", [-1, 0, 5000, 3.5, True])
    def test_rejects_invalid_image_size(self, size):
        with pytest.raises(ValueError, match="image_size must be an integer from 1 to 4096"):
            build_backbone("resnet18", "random", image_size=size)

    @pytest.mark.parametrize("seed", [-1, 0.5, True, None])
    def test_rejects_invalid_seed(self, seed):
        with pytest.raises(ValueError, match="seed must be an integer"):
            build_backbone("resnet18", "random", seed=seed)

    def test_rejects_wrong_types(self):
        with pytest.raises(TypeError, match="name must be a string; got 5"):
            build_backbone(5)
        with pytest.raises(TypeError, match=r"weights must be .* got None of type NoneType"):
            build_backbone("resnet18", None)


class TestLibraries:
    def test_unknown_prefix_error_lists_the_known_ones(self):
        with pytest.raises(ValueError, match=r"expected one of hf, open_clip, pixels, timm, torch"):
            build_backbone("clip:ViT-B-32")

    @pytest.mark.parametrize("prefix", ["hf", "open_clip", "pixels", "timm", "torchvision"])
    def test_rejects_missing_name(self, prefix):
        with pytest.raises(ValueError, match=f"the model's name is missing after '{prefix}:'"):
            build_backbone(f"{prefix}:")

    def test_torchvision_is_the_default_library(self):
        plain, _, _ = build_backbone("squeezenet1_1", "random", image_size=32)
        named, _, _ = build_backbone("torchvision:squeezenet1_1", "random", image_size=32)
        assert (named.name, named.weights_hash) == (plain.name, plain.weights_hash)
        assert (plain.library, plain.library_version) == ("torchvision", version("torchvision"))
        assert plain.revision is None

    @pytest.mark.parametrize("name", ["resnet18", "pixels"])
    def test_libraries_without_a_hub_reject_its_options(self, name):
        with pytest.raises(ValueError, match=r"revision must be omitted, because .* got 'main'"):
            build_backbone(name, revision="main")
        with pytest.raises(ValueError, match="trust_remote_code must be omitted, because"):
            build_backbone(name, trust_remote_code=True)

    def test_rejects_wrong_types(self):
        with pytest.raises(TypeError, match="revision must be a string; got 3"):
            build_backbone("resnet18", "random", revision=3)
        with pytest.raises(TypeError, match="trust_remote_code must be"):
            build_backbone("resnet18", "random", trust_remote_code="yes")

    def test_rejects_long_and_thin_images_that_would_be_resized_whole(self):
        transform = RgbTransform(lambda image: image)
        assert transform(Image.new("RGB", (1, 1000))).size == (1, 1000)
        with pytest.raises(ValueError, match="it has 1 × 1001 pixels, too long and thin"):
            transform(Image.new("RGB", (1, 1001)))


class TestFinish:
    """What a library must return."""

    def finish(self, network, shape=(3, 4, 4)):
        request = BackboneRequest("small")
        options = {"name": "small", "weights": "none", "library": None}
        return finish(network, lambda image: torch.ones(shape), request, **options)

    def test_rejects_inputs_that_are_not_images(self):
        with pytest.raises(ValueError, match=r"small expects inputs of shape \(7, 12\); only net"):
            self.finish(nn.Flatten(), (7, 12))

    def test_rejects_outputs_that_are_sequences(self):
        with pytest.raises(ValueError, match=r"an output of shape \(1, 3, 16\) for one image; exp"):
            self.finish(nn.Flatten(2))

    def test_rejects_random_outputs(self):
        class Random(nn.Module):
            def forward(self, images):
                return torch.rand(1, 5)

        with pytest.raises(ValueError, match="small returns a different embedding each time"):
            self.finish(Random())
