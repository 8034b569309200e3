import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.data import open_source
from fcrn_mobile.data.transforms import depth_tensor, image_tensor, resize
from fcrn_mobile.mil import MilError, Program
from fcrn_mobile.mil.ops import OPERATORS
from fcrn_mobile.mil.ops.operator import Operator
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.decoders import DECODERS
from fcrn_mobile.network.deploy import FourPhaseConv, deploy
from fcrn_mobile.network.fcrn import FCRN, PRESETS, preset
from fcrn_mobile.training.losses import depth_loss
from tests.clock import steady_ratio
from tests.conftest import psnr


def float_depth(network: FCRN, image: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return network(image_tensor(image).unsqueeze(0))[0, 0].numpy()


@pytest.mark.parametrize(("precision", "least"), [("fp16", 55.0), ("int8", 30.0)])
def test_trained_packages_stay_close_on_real_images(packages, builtin, real_frames, precision: str, least: float) -> None:
    program = Program.load(packages[precision], "float16")
    values = []
    for index in range(0, 119, 12):
        image = resize(real_frames[index], 224, 320).image
        values.append(psnr(program.predict({"image": image})["depth"], float_depth(builtin.network, image)))
    print(f"{precision}: PSNR {np.mean(values):.1f} dB")
    assert np.mean(values) > least


def test_the_fp32_package_equals_the_network_on_real_images(packages, builtin, real_frames) -> None:
    program = Program.load(packages["fp32"])
    for index in (0, 50, 100):
        image = resize(real_frames[index], 224, 320).image
        expected = float_depth(builtin.network, image)
        error = np.abs(program.predict({"image": image})["depth"] - expected).max() / np.abs(expected).max()
        assert error < 1e-3


def eighth(name: str) -> tuple[int, ...]:
    """Widths of a decoder with all operators of a preset's and few channels: its exports are small."""
    return tuple(max(width // 8, 8) for width in preset(name).widths)


@pytest.mark.parametrize("form", ["four", "fused"])
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_runs_as_a_package(name: str, form, settle, tmp_path) -> None:
    torch.manual_seed(0)
    network = settle(FCRN(preset(name, input_size=(65, 99), widths=eighth(name))))
    out = tmp_path / "net.mlpackage"
    export(Checkpoint(name, network), Recipe(precision="fp32", form=form, output="array"), out)
    image = np.random.default_rng(0).integers(0, 256, (65, 99, 3), dtype=np.uint8)
    depth = Program.load(out).predict({"image": image})["depth"]
    expected = float_depth(network, image)
    assert depth.shape == (1, 1, *expected.shape)
    assert np.abs(depth[0, 0] - expected).max() / np.abs(expected).max() < 1e-3


def rounded_to_int8(network: FCRN) -> FCRN:
    """The deployed network with its kernels rounded by hand: scale = max|w| / 127 per output channel, all in half precision."""
    network = deploy(network)
    for module in network.modules():
        kernels = list(module.kernels) if isinstance(module, FourPhaseConv) else []
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            kernels = [module.weight]
        channels = 1 if isinstance(module, torch.nn.ConvTranspose2d) else 0
        for kernel in kernels:
            if kernel.numel() > 512:
                weight = kernel.data.half()
                scale = weight.abs().amax([axis for axis in range(4) if axis != channels], keepdim=True) / 127
                kernel.data = ((weight / scale).round() * scale).float()
    return network


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("target", ["iOS16", "iOS18"])
def test_every_decoder_runs_as_an_int8_package(decoder: str, target: str, settle, tmp_path) -> None:
    torch.manual_seed(0)
    network = settle(FCRN(preset("fcrn-lite0", decoder=decoder, widths=(32, 16, 16, 16, 16), input_size=(64, 96))))
    out = tmp_path / "net.mlpackage"
    export(Checkpoint("net", network), Recipe(precision="int8", target=target), out)
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    depth = Program.load(out).predict({"image": image})["depth"]
    near, far = psnr(depth, float_depth(rounded_to_int8(network), image)), psnr(depth, float_depth(network, image))
    print(f"PSNR {near:.1f} dB to the network rounded by hand, {far:.1f} dB to the float network")
    assert near > 36
    assert far > 12  # random kernels lose more than trained ones


@pytest.mark.speed
def test_it_is_about_as_fast_as_torch_eager(packages, builtin) -> None:
    program, network = Program.load(packages["fp32"]), deploy(builtin.network)
    image = np.random.default_rng(0).integers(0, 256, (224, 320, 3), dtype=np.uint8)
    with torch.inference_mode():
        ratio = steady_ratio(lambda: program.predict({"image": image}), lambda: network(image_tensor(image).unsqueeze(0)), bound=1.3)
    print(f"MIL runtime / torch eager: {ratio:.2f}")
    assert ratio <= 1.3


def test_trace_names_every_tensor_and_ends_in_the_output(packages) -> None:
    program = Program.load(packages["fp16"], "float16")
    image = np.zeros((224, 320, 3), np.uint8)
    traced = dict(program.trace({"image": image}))
    assert set(traced) == {info.name for operation in program.operations for info in operation.outputs}
    np.testing.assert_array_equal(traced["depth"][0, 0], program.predict({"image": image})["depth"])
    assert all(traced[info.name].shape == info.shape for operation in program.operations for info in operation.outputs)


def test_tensors_are_released_after_their_last_use(packages) -> None:
    program = Program.load(packages["fp16"])
    alive, most = {"image"}, 0
    for operation in program.operations:
        assert operation.references <= alive
        alive |= {info.name for info in operation.outputs}
        most = max(most, len(alive))
        alive -= set(operation.releases)
    assert alive == {"depth"}
    assert most <= 9  # the encoder's maps wait for their step of the decoder


def test_an_unknown_operator_is_an_error_at_load(packages, monkeypatch) -> None:
    monkeypatch.delitem(OPERATORS, "pixel_shuffle")
    with pytest.raises(MilError, match=r"operator 'pixel_shuffle' at '.+' in"):
        Program.load(packages["fp16"])


def test_an_unknown_input_of_an_operator_is_an_error_at_load(packages, monkeypatch) -> None:
    monkeypatch.setitem(OPERATORS, "relu6", Operator(lambda y: y, "exact"))
    with pytest.raises(MilError, match="operator 'relu6'"):
        Program.load(packages["fp16"])


def test_bad_inputs_are_named(packages) -> None:
    program = Program.load(packages["fp16"])
    image = np.zeros((224, 320, 3), np.uint8)
    for inputs, message in [
        ({}, "'image' is missing"),
        ({"image": image, "mask": image}, "unknown input 'mask'"),
        ({"image": image[:100]}, "100×320×3"),
        ({"image": image[..., 0]}, "224×320, the"),
        ({"image": image.astype(np.float32)}, "float32"),
    ]:
        with pytest.raises(MilError, match=message):
            program.predict(inputs)


def test_bad_packages_are_named(packages, tmp_path) -> None:
    with pytest.raises(MilError, match="no model at"):
        Program.load(tmp_path / "none.mlpackage")
    text = tmp_path / "text.mlpackage"
    text.write_text("hello")
    with pytest.raises(MilError, match="is a file"):
        Program.load(text)
    empty = tmp_path / "empty.mlpackage"
    empty.mkdir()
    with pytest.raises(MilError, match=r"Manifest\.json"):
        Program.load(empty)
    broken = tmp_path / "broken.mlpackage"
    shutil.copytree(packages["fp16"], broken)
    model: Path = next(broken.rglob("*.mlmodel"))
    model.write_bytes(model.read_bytes()[: model.stat().st_size // 2])
    with pytest.raises(MilError, match=r"damaged|only ML"):
        Program.load(broken)
    model.unlink()
    with pytest.raises(MilError, match="lacks"):
        Program.load(broken)


def briefly_trained(name: str) -> FCRN:
    """A preset after a few steps on the built-in frames: weights and statistics of a network that has seen rooms."""
    torch.manual_seed(0)
    source = open_source("sample")
    frames = [resize(source[index], 64, 96) for index in range(len(source))]
    images = torch.stack([image_tensor(frame.image) for frame in frames])
    depths = torch.stack([depth_tensor(frame.depth) for frame in frames])
    network = FCRN(preset(name, input_size=(64, 96), widths=eighth(name))).train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), 3e-4)
    order = torch.Generator().manual_seed(0)
    for _ in range(16 if name == "fcrn-resnet18" else 10):
        batch = torch.randperm(len(frames), generator=order)[:4]
        loss = depth_loss("l1", network(images[batch]), depths[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval().to(memory_format=torch.contiguous_format)


@pytest.mark.parametrize("name", ["fcrn-resnet18", "fcrn-resnet50"])
def test_packages_of_trained_resnets_stay_close_on_real_images(name: str, real_frames, tmp_path) -> None:
    network = briefly_trained(name)
    frames = [resize(real_frames[index], 64, 96).image for index in (0, 40, 80)]
    expected = [float_depth(network, image) for image in frames]
    for precision, arithmetic, least in (("fp32", "float32", 60), ("fp16", "float16", 55), ("int8", "float16", 30)):
        out = tmp_path / f"{precision}.mlpackage"
        export(Checkpoint(name, network), Recipe(precision=precision), out)
        program = Program.load(out, arithmetic)
        depths = [program.predict({"image": image})["depth"] for image in frames]
        closeness = np.mean([psnr(depth, wanted) for depth, wanted in zip(depths, expected, strict=True)])
        print(f"{name} {precision}: {closeness:.1f} dB")
        assert closeness > least
        if precision == "fp32":
            assert max(np.abs(d - e).max() / np.abs(e).max() for d, e in zip(depths, expected, strict=True)) < 1e-3
