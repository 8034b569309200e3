import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import load_checkpoint, save_checkpoint
from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.network.fcrn import FCRN, set_form
from fcrn_mobile.network.foreign_numpy import read_layers
from fcrn_mobile.network.importers import import_network
from fcrn_mobile.network.iro_cp import read_iro_cp
from tests.foreign import HOSTILE, Touch
from tests.network.tensorflow_fcrn import SMALL, Layers, depth, random_layers, save_as_python_2, save_pickle


@pytest.fixture(scope="module")
def layers() -> Layers:
    return random_layers()


@pytest.fixture(scope="module")
def file(layers: Layers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("released") / "NYU_FCRN.npy"
    save_as_python_2(layers, path)
    return path


@pytest.fixture
def in_double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def pixels(height: int, width: int) -> torch.Tensor:
    """A picture with edges and smooth parts, N×H×W×3 in 0..255."""
    generator = torch.Generator().manual_seed(height)
    coarse = torch.rand(2, 3, 5, 7, generator=generator, dtype=torch.float64)
    image = torch.nn.functional.interpolate(coarse, (height, width), mode="nearest") * 200
    return (image + 55 * torch.rand(image.shape, generator=generator, dtype=torch.float64)).permute(0, 2, 3, 1)


def difference(network: torch.nn.Module, expected: torch.Tensor, image: torch.Tensor) -> float:
    """Largest, relative to the largest depth."""
    with torch.no_grad():
        ours = network((image / 255).permute(0, 3, 1, 2).to(torch.get_default_dtype())).permute(0, 2, 3, 1)
    assert ours.shape == expected.shape
    return float((ours.double() - expected).abs().max() / expected.abs().max())


# Even and odd maps before the pooling and before each stride, since padding differs there.
@pytest.mark.parametrize("size", [(64, 96), (61, 75), (33, 130)])
def test_an_imported_network_computes_the_releases_depth(size: tuple[int, int], file: Path, layers: Layers, in_double: None) -> None:
    image = pixels(*size)
    expected = depth(layers, image)
    assert 0.01 < float((expected == 0).double().mean()) < 0.99, "the last ReLU would not matter"
    config, state = read_iro_cp(file)
    network = FCRN(config).eval()
    network.load_state_dict(state)
    assert difference(network, expected, image) < 1e-9
    for form in ("four", "fused", "literal"):
        assert difference(set_form(network, form), expected, image) < 1e-9
        deployed = deploy(network, form)
        assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in deployed.modules())
        assert difference(deployed, expected, image) < 1e-9


def test_a_checkpoint_of_it_computes_the_same_in_single_precision(file: Path, layers: Layers, tmp_path: Path) -> None:
    imported = import_network(file)
    config = imported.network.config
    assert (config.encoder, config.decoder, config.widths, config.head_relu) == ("resnet50-caffe", "fastproj", SMALL, True)
    assert imported.training.imported_from == "iro-cp"
    save_checkpoint(imported.network, tmp_path / "ours.safetensors", imported.training)
    loaded = load_checkpoint(str(tmp_path / "ours.safetensors"))
    assert loaded.network.config == config
    image = pixels(64, 96)
    assert difference(loaded.network, depth(layers, image), image) < 1e-4


def test_every_weight_learns(file: Path) -> None:
    network = import_network(file).network.train()
    network(torch.rand(2, 3, 64, 96)).square().mean().backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.isfinite().all()] == []
    # A bias in front of a batch norm of its own is taken off again; these stand four to one batch norm, so they matter.
    assert float(network.decoder[3].upper_conv1.conv01.bias.grad.abs().max()) > 0


def test_files_of_python_2_and_3_hold_the_same(file: Path, layers: Layers, tmp_path: Path) -> None:
    # NumPy itself reads what the helper wrote as Python 2 did.
    unpickled = np.load(file, allow_pickle=True, encoding="latin1").item()
    few = {name: layers[name] for name in ("layer1", "layer1_BN", "ConvPred")}
    variants: dict[str, Any] = {
        "python_3": few,
        "big_endian": {name: {key: value.astype(">f4") for key, value in layer.items()} for name, layer in few.items()},
        "double": {name: {key: value.astype(np.float64) for key, value in layer.items()} for name, layer in few.items()},
        "fortran": {name: {key: np.asfortranarray(value) for key, value in layer.items()} for name, layer in few.items()},
    }
    for name, content in variants.items():
        np.save(tmp_path / f"{name}.npy", np.array(content, dtype=object), allow_pickle=True)
    for protocol in (2, 3, 4):
        save_pickle(b"", tmp_path / f"protocol_{protocol}.npy")
        with (tmp_path / f"protocol_{protocol}.npy").open("ab") as handle:
            pickle.dump(np.array(few, dtype=object), handle, protocol=protocol)
    read = [read_layers(path) for path in sorted(tmp_path.iterdir())]
    assert len(read) == 7
    for found in [*read, read_layers(file)]:
        for name, layer in few.items():
            for key, value in layer.items():
                np.testing.assert_array_equal(found[name][key], value)
                np.testing.assert_array_equal(unpickled[name][key], value)


def test_kernels_of_the_other_byte_order_import_the_same(file: Path, layers: Layers, tmp_path: Path) -> None:
    swapped = {name: {key: value.astype(">f4") for key, value in layer.items()} for name, layer in layers.items()}
    np.save(tmp_path / "swapped.npy", np.array(swapped, dtype=object), allow_pickle=True)
    for (name, ours), (_, theirs) in zip(read_iro_cp(file)[1].items(), read_iro_cp(tmp_path / "swapped.npy")[1].items(), strict=True):
        assert torch.equal(ours, theirs), name


def test_code_in_a_file_does_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    np.save(tmp_path / "bad.npy", np.array({"conv1": Touch(mark)}, dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"bad\.npy.*it names [^ ]*, which weights have no use for"):
        import_network(tmp_path / "bad.npy")
    assert not mark.exists()
    np.load(tmp_path / "bad.npy", allow_pickle=True)
    assert mark.exists(), "the file would not have run anything"


@pytest.mark.parametrize(
    "program",
    [
        *HOSTILE,
        b"\x80\x04\x8c\x05numpy\x94\x8c\x0dndarray.tofile\x94\x93.",
        b"cnumpy\nfromfile\n(V/etc/passwd\ntR.",
        # BUILD sets attributes of what stands below it: here, of the classes handed out, or of what they made.
        b"cnumpy.core.multiarray\n_reconstruct\n(N(dV__setstate__\nVreplaced\nstb.",
        b"cnumpy\nndarray\n(N(dV__setstate__\nVreplaced\nstb.",
        b"cnumpy\ndtype\n(Vf4\ntR(N(dVnumpy\nVreplaced\nstb.",
        b"ccollections\nOrderedDict\n(N(dVitems\nVreplaced\nstb.",
        b"c_codecs\nencode\n(Vabc\nVrot13\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(tR(K\x01(tcnumpy\ndtype\n(VV8\ntR\x89]tb.",
        b"(lp0\n.",
        b"N.",
    ],
)
def test_hand_written_pickles_reach_nothing(program: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_pickle(program, tmp_path / "bad.npy")
    with pytest.raises(InputError, match=r"bad\.npy") as refusal:
        read_layers(tmp_path / "bad.npy")
    assert "\n" not in str(refusal.value)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.npy"]
    np.save(tmp_path / "good.npy", np.array({"a": {"b": np.ones(2, np.float32)}}, dtype=object), allow_pickle=True)
    assert read_layers(tmp_path / "good.npy")["a"]["b"].tolist() == [1, 1]


@settings(max_examples=60, deadline=None)
@given(share=st.floats(0, 0.999))
def test_truncated_files_are_refused(tmp_path_factory: pytest.TempPathFactory, share: float) -> None:
    path = tmp_path_factory.mktemp("cut") / "cut.npy"
    save_as_python_2({"layer": {"weights": np.ones((2, 3), np.float32)}}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=r"cut\.npy"):
        read_layers(path)


def test_keys_that_do_not_fit_are_listed_and_counted(layers: Layers, tmp_path: Path) -> None:
    odd = {name: dict(layer) for name, layer in layers.items()}
    del odd["layer4x_br1_ConvC"]["biases"]
    del odd["bn5c_branch2b"]
    odd |= {f"extra{number}": {"weights": np.zeros(1, np.float32)} for number in range(5)}
    odd["bn_conv1"]["mean"] = np.zeros(7, np.float32)
    save_as_python_2(odd, tmp_path / "odd.npy")
    with pytest.raises(InputError) as refusal:
        import_network(tmp_path / "odd.npy")
    line = str(refusal.value)
    assert "missing bn5c_branch2b/scale, bn5c_branch2b/offset, bn5c_branch2b/mean … (5 in all)" in line
    assert "left over extra0/weights, extra1/weights, extra2/weights … (5 in all)" in line
    assert "wrong shape bn_conv1/mean (7,) instead of (64,)" in line


def test_a_missing_bias_is_missed(layers: Layers, tmp_path: Path) -> None:
    for layer in ("layer8x_Conv", "ConvPred"):
        save_as_python_2({**layers, layer: {"weights": layers[layer]["weights"]}}, tmp_path / "short.npy")
        with pytest.raises(InputError, match=f"missing {layer}/biases$"):
            import_network(tmp_path / "short.npy")


def test_other_npy_files_are_refused_with_the_remedy(tmp_path: Path) -> None:
    def refused(content: Any, match: str, layout: str | None = None) -> None:
        np.save(tmp_path / "other.npy", content, allow_pickle=True)
        with pytest.raises(InputError, match=match) as refusal:
            import_network(tmp_path / "other.npy", layout)
        assert "other.npy" in str(refusal.value)

    refused(np.zeros((2, 3)), r"an array \(2, 3\) of float64, not a dict of layers")
    refused(np.array([{}, {}], dtype=object), r"an array \(2,\) of object")
    refused(np.array({}, dtype=object), "no dict of layers")
    refused(np.array({"fc8": {"weights": np.zeros((1, 1, 2, 3), np.float32)}}, dtype=object), "holds fc8, not the layers of iro-cp")
    refused(np.array({"layer1": 3}, dtype=object), r"more than layers \('layer1'\)")
    refused(np.array({"layer1": {"weights": "none"}}, dtype=object), "layer1/weights, which is no array")
    refused(np.array({"layer1": {"weights": np.array(["a"])}}, dtype=object), "not of floating-point numbers")
    refused(np.array({"layer1": {"weights": np.zeros(2, int)}}, dtype=object), "not of floating-point numbers")
    refused(np.array({"layer1": {"weights": np.zeros(2, "f4,f4")}}, dtype=object), "records")
    refused(np.array({}, dtype=object), "leave --format out", "fcrn-pytorch")
    with pytest.raises(InputError, match=r"no \.npy file at"):
        import_network(tmp_path / "missing.npy", "iro-cp")
