"""Lateral connections: what they compute, that deployment leaves it equal, and that networks without them stay what they were."""

import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import load_checkpoint, save_checkpoint
from fcrn_mobile.network.decoders import ConvBilinear
from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.network.encoders import ENCODERS, encoder_named
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.network.laterals import Lateral
from fcrn_mobile.network.macs import count_macs, count_parameters

KINDS = ("add", "concat")
WIDTHS = (16, 8, 8, 8, 8)


def tiny(kind: str, encoder: str = "lite0", decoder: str = "upproj", **changes: object) -> FCRN:
    torch.manual_seed(0)
    config = preset(
        "fcrn-lite0", encoder=encoder, decoder=decoder, widths=WIDTHS[: encoder_named(encoder).halvings], laterals=kind, **changes
    )
    return FCRN(config, form="literal")


def relative(actual: nn.Module, expected: nn.Module, images: Tensor) -> float:
    with torch.no_grad():
        a, e = actual(images), expected(images)
    assert a.shape == e.shape
    return float((a - e).abs().max() / e.abs().max())


@pytest.mark.parametrize("encoder", ENCODERS)
def test_an_encoder_gives_its_map_of_every_size(encoder: str) -> None:
    network = encoder_named(encoder).build().eval()
    image = torch.rand(1, 3, 70, 101)
    with torch.no_grad():
        maps = network.maps(image)
        assert torch.equal(maps[-1], network(image))
    sizes = [(-(-70 // 2**n), -(-101 // 2**n)) for n in range(1, encoder_named(encoder).halvings + 1)]
    assert [tuple(each.shape[-2:]) for each in maps] == sizes
    assert tuple(each.shape[1] for each in maps) == network.channels
    assert network.channels[-1] == network.out_channels


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoder", ["resnet18", "lite0", "plain"])
def test_deployment_stays_equal_with_laterals(kind: str, encoder: str, settle) -> None:
    # In double precision, so that nothing but the rewrite is compared; odd sizes crop the decoder's maps.
    network = settle(tiny(kind, encoder)).double()
    for form in ("four", "fused", "literal"):
        deployed = deploy(network, form)
        assert not any(isinstance(module, nn.BatchNorm2d) for module in deployed.modules())
        for size in ((64, 96), (61, 75)):
            assert relative(deployed, network, torch.rand(1, 3, *size).double()) < 1e-9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("decoder", ["upconv", "deconv3", "fastproj", "upproj-bilinear", "upproj-deconv"])
def test_deployment_stays_equal_with_every_up_block(kind: str, decoder: str, settle) -> None:
    network = settle(tiny(kind, decoder=decoder)).double()
    assert relative(deploy(network), network, torch.rand(1, 3, 61, 75).double()) < 1e-9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(64, 96), (61, 75), (33, 97)])
def test_laterals_give_half_of_the_input_exactly(kind: str, size: tuple[int, int]) -> None:
    with torch.no_grad():
        assert tiny(kind).eval()(torch.rand(1, 3, *size)).shape == (1, 1, -(-size[0] // 2), -(-size[1] // 2))


@pytest.mark.parametrize("kind", KINDS)
def test_a_lateral_is_what_its_description_says(kind: str, settle) -> None:
    lateral = settle(tiny(kind)).laterals[0]
    x, encoded = torch.randn(2, 8, 6, 6), torch.randn(2, 112, 5, 6)

    def normalised(bn: nn.BatchNorm2d, y: Tensor) -> Tensor:
        mean, var, weight, bias = (v.view(1, -1, 1, 1) for v in (bn.running_mean, bn.running_var, bn.weight, bn.bias))
        return (y - mean) / (var + bn.eps).sqrt() * weight + bias

    projected = normalised(lateral.bn, torch.einsum("oi,nihw->nohw", lateral.conv.weight[..., 0, 0], encoded))
    first = x[:, :, :5]
    joined = first + projected if kind == "add" else torch.cat((first, projected.clamp_min(0)), 1)
    windows = F.unfold(joined, 3, padding=1).view(2, -1, 5, 6)
    expected = normalised(lateral.joint_bn, torch.einsum("ok,nkhw->nohw", lateral.joint_conv.weight.flatten(1), windows)).clamp_min(0)
    with torch.no_grad():
        torch.testing.assert_close(lateral(x, encoded), expected, rtol=1e-4, atol=1e-5)


def test_concatenation_is_half_as_wide_as_the_decoder() -> None:
    assert Lateral("concat", 24, 16).conv.out_channels == 12
    assert Lateral("concat", 24, 16).joint_conv.in_channels == 36


@pytest.mark.parametrize("kind", KINDS)
def test_the_finest_map_decides_where_an_edge_lies(kind: str) -> None:
    """A pixel of the input moves the prediction next to it alone through the lateral at 1/2, and everything without laterals."""
    network = tiny(kind).eval()
    for step in network.laterals[:-1]:
        nn.init.zeros_(step.joint_conv.weight)  # all that comes from coarser maps
    image = torch.rand(1, 3, 64, 96)
    moved = image.clone()
    moved[..., 40, 40] += 0.5
    with torch.no_grad():
        rows, columns = torch.where((network(moved) != network(image))[0, 0])
    assert len(rows)
    assert int((rows - 20).abs().max()) <= 5
    assert int((columns - 20).abs().max()) <= 5


def test_every_weight_learns() -> None:
    network = tiny("concat", decoder="upproj-bilinear").train()
    network(torch.rand(2, 3, 64, 96)).square().mean().backward()
    asleep = [name for name, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    assert asleep == []


def test_bilinear_blocks_leave_no_checkerboard() -> None:
    """On a constant map a transposed or unpooled convolution prints its phases; an interpolated one stays constant inside."""
    block = ConvBilinear(3, 2, "four").eval()
    with torch.no_grad():
        y = block(torch.ones(1, 3, 6, 6))[..., 4:-4, 4:-4]
    assert float((y - y[..., :1, :1]).abs().max()) < 1e-6


def full(kind: str, decoder: str = "upproj-bilinear", encoder: str = "lite0") -> FCRN:
    """With an up-block more, to full resolution."""
    torch.manual_seed(0)
    widths = (*WIDTHS[: encoder_named(encoder).halvings], 6)
    return FCRN(preset("fcrn-lite0", encoder=encoder, decoder=decoder, widths=widths, laterals=kind), form="literal")


@pytest.mark.parametrize("kind", ["none", *KINDS])
@pytest.mark.parametrize(("decoder", "encoder"), [("upproj-bilinear", "lite0"), ("upproj", "plain"), ("upproj-deconv", "plain")])
def test_an_up_block_more_gives_full_resolution_and_is_deployed_equal(kind: str, decoder: str, encoder: str, settle) -> None:
    network = settle(full(kind, decoder, encoder)).double()
    assert len(network.decoder) == encoder_named(encoder).halvings == len(network.laterals) + 1 or kind == "none"
    step = 2 ** encoder_named(encoder).halvings
    for height, width in ((64, 96), (61, 75)):
        image = torch.rand(1, 3, height, width).double()
        with torch.no_grad():
            shape = network(image).shape[-2:]
        assert tuple(shape) == ((height, width) if kind != "none" else (-(-height // step) * step, -(-width // step) * step))
        for form in ("four", "fused"):
            assert relative(deploy(network, form), network, image) < 1e-9


def test_full_resolution_is_the_last_up_block_behind_the_finest_lateral(settle) -> None:
    """The same weights without the last block and the head give what it reads: a map at 1/2."""
    network, image = settle(full("concat")), torch.rand(1, 3, 61, 75)
    with torch.no_grad():
        *_, half, last = network.decoded(image)
        assert half.shape[-2:] == (31, 38) and last.shape[-2:] == (61, 75)
        assert torch.equal(last, network.decoder[-1](half)[..., :61, :75])
        assert torch.equal(network(image), network.head(last))


def test_a_transposed_convolution_of_side_four_treats_all_phases_alike() -> None:
    """As many taps for each of the four phases, where side 3 has 1, 2, 2 and 4: no checkerboard from equal weights."""
    for decoder, even in (("deconv4", True), ("deconv3", False)):
        block = FCRN(preset("fcrn-lite0", decoder=decoder, widths=WIDTHS)).decoder[0]
        nn.init.ones_(block.conv.weight)
        with torch.no_grad():
            y = block.conv(torch.ones(1, 16, 6, 6))[0, 0, 2:-2, 2:-2]
        assert (float(y.max() - y.min()) == 0) == even


def test_widths_say_whether_there_is_an_up_block_more() -> None:
    for widths in ((8,) * 4, (8,) * 7, (8, 8, 8, 8, 8, 0)):
        with pytest.raises(InputError, match=r"give 5 positive channel counts, .*or one more for an up-block to full resolution"):
            preset("fcrn-lite0", widths=widths)


def test_a_checkpoint_without_the_word_has_no_laterals(tmp_path) -> None:
    network = FCRN(preset("fcrn-lite0", widths=WIDTHS)).eval()
    save_checkpoint(network, tmp_path / "new.safetensors")
    tensors, config = load_file(tmp_path / "new.safetensors"), dict(network.config.__dict__)
    assert config.pop("laterals") == "none"
    assert not any("lateral" in key for key in tensors)
    save_file(tensors, tmp_path / "old.safetensors", {"config": json.dumps(config)})
    loaded = load_checkpoint(str(tmp_path / "old.safetensors")).network
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        assert loaded.config.laterals == "none"
        assert torch.equal(loaded(image), network(image))


@pytest.mark.parametrize("kind", KINDS)
def test_laterals_are_stored_with_the_checkpoint(kind: str, settle, tmp_path) -> None:
    network = settle(tiny(kind))
    save_checkpoint(network, tmp_path / "net.safetensors")
    loaded = load_checkpoint(str(tmp_path / "net.safetensors")).network
    assert loaded.config == network.config
    assert relative(loaded, network, torch.rand(1, 3, 64, 96)) < 1e-4  # one in the fast form, the other in the literal


def test_unknown_laterals_name_the_known_ones() -> None:
    with pytest.raises(InputError, match="laterals 'sum': use one of none, add, concat"):
        replace(preset("fcrn-lite0"), laterals="sum")


def test_the_lateral_preset_is_as_small_as_a_phone_asks() -> None:
    network = FCRN(preset("fcrn-lite0-lateral")).eval()
    assert 2 * count_parameters(network) <= 14e6
    assert count_macs(deploy(network), 224, 320) <= 1.3e9


@pytest.mark.parametrize("name", ["fcrn-resnet50", "fcrn-resnet18", "fcrn-lite0", "fcrn-plain", "fcrn-resnet50-caffe"])
def test_the_papers_networks_have_no_laterals(name: str) -> None:
    assert preset(name).laterals == "none"
