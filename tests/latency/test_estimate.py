import json
import tomllib
from pathlib import Path
from typing import Any

import fit
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import NETWORKS, Network
from torch import nn

from fcrn_mobile.cli.inspect import command
from fcrn_mobile.json_text import plain
from fcrn_mobile.latency.estimate import CHIPS, FITTED, Coefficients, Work, estimate, latency_ms, matrix, notes, table, work
from fcrn_mobile.mil.graph import read_graph
from tests.mil.build import convert, ct, mb, save_program

STORED: dict[str, Any] = json.loads(FITTED.read_text())
RATED = {chip["name"]: chip for chip in tomllib.loads(CHIPS.read_text())["chip"]}

#: Millions of parameters and of multiply-accumulates, as published: MobileOne table 9, timm's model cards of FastViT, torchvision,
#: the MobileNetV2, MobileNetV3 and MobileViTv2 papers, Apple's model card of Depth Anything small.
PUBLISHED = {
    "mobileone-s0": (2.1, 275),
    "mobileone-s1": (4.8, 825),
    "mobileone-s2": (7.8, 1299),
    "mobileone-s3": (10.1, 1896),
    "mobileone-s4": (14.8, 2978),
    "fastvit-t8": (4.0, 700),
    "fastvit-t12": (7.5, 1400),
    "fastvit-s12": (9.5, 1800),
    "fastvit-sa12": (11.6, 1900),
    "fastvit-sa24": (21.6, 3800),
    "fastvit-sa36": (31.5, 5600),
    "fastvit-ma36": (44.1, 7800),
    "resnet18": (11.69, 1814),
    "resnet50": (25.56, 4089),
    "mobilenetv2": (3.5, 300),
    "mobilenetv3-small": (2.54, 56.5),
    "mobilevitv2": (4.9, 1800),
    "vit-b16": (86.57, 17564),
    "depth-anything-small": (24.8, None),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_networks_have_the_published_parameters_and_macs(name: str) -> None:
    network, (parameters, macs) = NETWORKS[name](), PUBLISHED[name]
    assert network.parameters / 1e6 == pytest.approx(parameters, rel=0.02)
    if macs:
        assert network.macs / 1e6 == pytest.approx(macs, rel=0.025)


def test_depth_anything_costs_what_torch_counts() -> None:
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    backbone = Dinov2Config(
        hidden_size=384, num_attention_heads=6, num_hidden_layers=12, image_size=518, patch_size=14, out_indices=[3, 6, 9, 12],
        apply_layernorm=True, reshape_hidden_states=False,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=384,
        neck_hidden_sizes=[48, 96, 192, 384],
        fusion_hidden_size=64,
        head_hidden_size=32,
    )
    with torch.device("meta"):
        network = DepthAnythingForDepthEstimation(config).eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 392, 518, device="meta"))
    assert NETWORKS["depth-anything-small"]().macs == pytest.approx(counter.get_total_flops() / 2, rel=1e-4)


class Block(nn.Module):
    """Stem, separable convolutions with a residual sum, pooling, classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        self.depthwise = nn.Conv2d(16, 16, 3, 1, 1, groups=16)
        self.pointwise = nn.Conv2d(16, 16, 1)
        self.down = nn.Conv2d(16, 32, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(32)
        self.head = nn.Conv2d(32, 10, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(x + self.pointwise(torch.relu(self.depthwise(x))))
        return self.head(torch.relu(self.norm(self.down(x))).mean((2, 3), keepdim=True))


def test_a_converted_package_costs_what_its_description_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    inputs = [ct.TensorType("x", shape=(1, 3, 32, 64), dtype=np.float16)]
    options = {"inputs": inputs, "outputs": [ct.TensorType("y", dtype=np.float16)], "compute_precision": ct.precision.FLOAT16}
    path = convert(Block().eval(), [torch.rand(1, 3, 32, 64)], tmp_path, "block", **options)
    described = Network(3, 32, 64).conv(16, 3, 2).depthwise(3).conv(16).add().conv(32, 3, 2).classify(10)
    np.testing.assert_allclose(matrix(work(read_graph(path))), matrix(described.work()))


costs = st.floats(0, 1e9)


@given(st.lists(st.tuples(costs, costs, costs, st.booleans()), max_size=6), st.lists(st.floats(0, 10), min_size=4, max_size=4))
@settings(max_examples=100, deadline=None)
def test_an_operator_takes_the_longer_of_computing_and_moving(rows: list[tuple[float, float, float, bool]], values: list[float]) -> None:
    floor, weight, activation, gmac = values
    total = floor
    for macs, weight_bytes, activation_bytes, int8 in rows:
        computing = macs / 1e9 * gmac / (2 if int8 else 1)
        total += max(computing, weight_bytes / 1e6 * weight + activation_bytes / 1e6 * activation)
    chip = Coefficients(floor, weight, activation, gmac, int8_factor=2)
    assert latency_ms(matrix(Work(*row) for row in rows), chip) == pytest.approx(total)


@pytest.mark.parametrize("name", STORED["chips"])
def test_the_fit_gives_the_stored_constants_again(name: str) -> None:
    samples = fit.samples_of(name)
    assert [(s.network, s.precision, s.ms) for s in samples] == [
        (row["network"], row["precision"], row["published_ms"]) for row in STORED["chips"][name]["samples"]
    ]
    again = fit.fit(RATED[name], samples).to_json()
    assert again == pytest.approx(STORED["chips"][name]["constants"], rel=1e-3, abs=1e-5)


def test_leaving_a_network_out_gives_the_stored_errors_again() -> None:
    samples = fit.samples_of("A16")
    errors = fit.left_out(RATED["A16"], samples)
    stored = STORED["chips"]["A16"]
    assert np.mean([np.mean(np.abs(values)) for values in errors.values()]) == pytest.approx(stored["error"], abs=2e-3)
    assert max(abs(value) for values in errors.values() for value in values) == pytest.approx(stored["worst"], abs=2e-3)


@pytest.mark.parametrize("name", STORED["chips"])
def test_published_latencies_lie_within_the_stated_errors(name: str) -> None:
    chip = STORED["chips"][name]
    constants = Coefficients(**chip["constants"])
    off = [abs(latency_ms(s.operators, constants) / s.ms - 1) for s in fit.samples_of(name)]
    assert max(off) <= chip["worst"]
    assert np.mean(off) <= chip["error"]


@pytest.mark.parametrize("name", [name for name in STORED["chips"] if "half_tops" in RATED[name]])
def test_no_chip_is_estimated_faster_than_it_is_rated(name: str) -> None:
    gmacs = 1000.0
    rated_ms = 2 * gmacs * 1e9 / (RATED[name]["half_tops"] * 1e12) * 1e3
    heavy = matrix([Work(gmacs * 1e9, 0, 0)])
    assert latency_ms(heavy, Coefficients(**STORED["chips"][name]["constants"])) >= rated_ms * 0.999


def test_every_unused_latency_says_why_and_every_source_exists() -> None:
    published = tomllib.loads(fit.PUBLISHED.read_text())
    assert all(source["url"].startswith("https://") for source in published["sources"].values())
    for entry in published["latency"]:
        assert entry["source"] in published["sources"]
        assert entry["ms"] > 0
        assert entry.get("unused", "a reason")
        assert "unused" in entry or entry["network"] in NETWORKS


def test_a_chip_without_published_figures_gets_none(packages: dict[str, Path]) -> None:
    found = estimate(read_graph(packages["fp16"]))
    chips = {chip["chip"]: chip for chip in plain(found)["chips"]}
    assert list(chips) == ["A14", "A16", "A17 Pro", "M1", "M2", "M3", "M4", "M5"]
    assert chips["M3"]["ms"] is None
    assert chips["M3"]["reason"].startswith("no data")
    for name in set(chips) - {"M3"}:
        assert chips[name]["fps"] == pytest.approx(1000 / chips[name]["ms"])
        assert 0 < chips[name]["error"] <= chips[name]["worst"]


def test_an_estimate_as_json_has_the_words_and_keys_that_its_readers_know(packages: dict[str, Path]) -> None:
    written = plain(estimate(read_graph(packages["fp16"])))
    assert list(written) == ["basis", "assumption", "network", "chips", "sources"]
    assert list(written["network"]) == ["GMACs", "weights MB", "activations MB"]
    fit = ["device", "dispatch", "workloads", "error", "worst", "sources"]
    for chip in written["chips"]:
        known = ["reason"] if chip["ms"] is None else [*fit, "outside"]
        assert list(chip) == ["chip", "ms", "fps", *known]
        assert [chip[key] for key in known[:6] if key != "reason"] == [STORED["chips"][chip["chip"]][key] for key in fit if key in known]
    assert written["sources"] == STORED["sources"]


def test_float32_and_flexible_shapes_are_not_estimated(packages: dict[str, Path], tmp_path: Path) -> None:
    assert all("float32" in chip.reason for chip in estimate(read_graph(packages["fp32"])).chips)
    shapes = ct.EnumeratedShapes([[1, 3, 32, 32], [1, 3, 64, 64]], default=[1, 3, 32, 32])
    path = convert(nn.Conv2d(3, 4, 3), [torch.rand(1, 3, 32, 32)], tmp_path, "flexible", inputs=[ct.TensorType("x", shape=shapes)])
    assert all("flexible" in chip.reason for chip in estimate(read_graph(path)).chips)


def test_what_is_faster_than_everything_published_is_not_estimated(tmp_path: Path) -> None:
    path = save_program(tmp_path, lambda x: mb.square(x=x), [np.zeros((1, 1, 1, 32), np.float16)])
    for chip in estimate(read_graph(path)).chips:
        assert chip.ms is None or chip.ms >= min(s.ms for s in fit.samples_of(chip.chip))
    assert "too small" in next(chip.reason for chip in estimate(read_graph(path)).chips if chip.chip == "A16")


def test_compressed_weights_move_half_the_bytes(packages: dict[str, Path]) -> None:
    fp16, int8 = (estimate(read_graph(packages[precision])).network for precision in ("fp16", "int8"))
    assert int8.weights_mb == pytest.approx(fp16.weights_mb / 2, rel=0.03)
    assert int8.gmacs == fp16.gmacs
    assert int8.activations_mb == fp16.activations_mb


def test_int8_activations_move_a_byte_each(tmp_path: Path) -> None:
    def body(x: Any) -> Any:
        narrow = mb.dequantize(input=mb.quantize(input=x, scale=np.float16(0.1), output_dtype="int8"), scale=np.float16(0.1))
        out = mb.conv(x=narrow, weight=np.ones((8, 4, 1, 1), np.float16))
        return mb.dequantize(input=mb.quantize(input=out, scale=np.float16(0.1), output_dtype="int8"), scale=np.float16(0.1))

    (conv,) = work(read_graph(save_program(tmp_path, body, [np.zeros((1, 4, 8, 32), np.float16)])))
    assert conv == Work(8 * 32 * 4 * 8, 2 * 4 * 8, (4 + 8) * 8 * 32, int8=True)


def test_a_network_larger_than_all_that_was_fitted_is_named(tmp_path: Path) -> None:
    weight = np.zeros((2048, 2048, 3, 3), np.float16)
    path = save_program(tmp_path, lambda x: mb.conv(x=x, weight=weight, pad_type="same"), [np.zeros((1, 2048, 64, 64), np.float16)])
    found = estimate(read_graph(path))
    (a16,) = [chip for chip in found.chips if chip.chip == "A16"]
    assert [text.split(" (")[0] for text in a16.outside] == ["GMACs 155", "weights MB 75.5"]
    assert any("beyond what was fitted" in note and "A16" in note for note in notes(found))


def test_inspect_prints_every_figure_with_its_error_and_the_word_estimate(packages: dict[str, Path]) -> None:
    found = estimate(read_graph(packages["fp16"]))
    columns, rows = table(found)
    assert columns[1] == "estimated ms"
    assert all(row[1] == "none" or row[3].startswith("±") for row in rows)
    shown = CliRunner().invoke(command, [str(packages["fp16"]), "--estimate"])
    assert shown.exit_code == 0, shown.output
    assert "latency: estimate from published latencies, not run on a device" in shown.output
    assert "source: apple/ml-mobileone README" in shown.output


def test_a_checkpoint_has_nothing_to_estimate() -> None:
    refused = CliRunner().invoke(command, ["builtin", "--estimate"])
    assert "export it to an .mlpackage first" in str(refused.exception)
