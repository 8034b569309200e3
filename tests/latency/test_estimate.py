import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Network
from torch import nn

from fcrn_mobile.cli.inspect import command
from fcrn_mobile.json_text import plain
from fcrn_mobile.latency.constants import FITTED, Coefficients, latency_ms
from fcrn_mobile.latency.estimate import estimate, gives_map, notes, table
from fcrn_mobile.latency.work import Work, matrix, work
from fcrn_mobile.mil.graph import read_graph
from tests.mil.build import convert, ct, mb, save_program

STORED: dict[str, Any] = json.loads(FITTED.read_text())
CHIPS = {chip["name"]: chip for chip in tomllib.loads(FITTED.with_name("chips.toml").read_text())["chip"]}

CHIPS_WITHOUT_DATA = {"A18", "M6"}


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


@given(st.lists(st.tuples(costs, costs, costs, st.booleans()), max_size=6), st.lists(st.floats(0, 10), min_size=7, max_size=7))
@settings(max_examples=100, deadline=None)
def test_an_operator_takes_the_longer_of_computing_and_moving(rows: list[tuple[float, float, float, bool]], values: list[float]) -> None:
    floor, operator, gmac, product, weight, activation, large = values
    total = floor
    for macs, weight_bytes, activation_bytes, int8 in rows:
        computing = macs / 1e9 * (gmac if weight_bytes else product) / (2 if int8 else 1)
        moving = weight_bytes / 1e6 * weight + activation_bytes / 1e6 * activation + max(activation_bytes / 1e6 - 1, 0) * large
        total += operator + max(computing, moving)
    chip = Coefficients(floor, operator, gmac, product, weight, activation, large, int8_factor=2)
    assert latency_ms(matrix(Work(*row) for row in rows), chip) == pytest.approx(total)


def test_a_chip_without_published_figures_gets_none(packages: dict[str, Path]) -> None:
    chips = {chip["chip"]: chip for chip in plain(estimate(read_graph(packages["fp16"])))["chips"]}
    assert set(chips) == STORED["chips"].keys() | CHIPS_WITHOUT_DATA
    for name in CHIPS_WITHOUT_DATA:
        assert chips[name]["ms"] is None
        assert chips[name]["reason"].startswith("no data")
    for chip in (chips[name] for name in STORED["chips"] if chips[name]["ms"] is not None):
        assert chip["fps"] == pytest.approx(1000 / chip["ms"])
        assert chip["low_ms"] <= chip["ms"] <= chip["high_ms"]
        assert 0 <= chip["median_error"] <= chip["worst_error"]


def test_an_estimate_as_json_has_the_words_and_keys_that_its_readers_know(packages: dict[str, Path]) -> None:
    written = plain(estimate(read_graph(packages["fp16"])))
    assert list(written) == ["basis", "assumption", "interval", "network", "departures", "chips", "sources"]
    assert written["interval"] == "estimate, 80% interval, leave-one-network-out"
    assert list(written["network"]) == ["GMACs", "weights MB", "activations MB"]
    fit = ["device", "dispatch", "rows", "networks", "shared", "median_error", "worst_error", "sources"]
    for chip in written["chips"]:
        known = ["reason"] if chip["ms"] is None else ["interval", *fit, "outside"]
        assert [key for key in chip if key not in ("low_ms", "high_ms")] == ["chip", "ms", "fps", *known]
        if chip["ms"] is not None:
            stored = STORED["chips"][chip["chip"]] | CHIPS[chip["chip"]]
            assert [chip[key] for key in fit] == [stored[key] for key in fit]
            assert chip["interval"] == stored["intervals"]["map"]
            assert [chip["low_ms"], chip["high_ms"]] == pytest.approx([chip["ms"] * chip["interval"][end] for end in ("low", "high")])
    assert written["sources"] == STORED["sources"]


@pytest.mark.parametrize(("shape", "makes_a_map"), [((1, 1, 8, 8), True), ((8, 8), False), ((1, 4), False), ((1, 8, 1, 1), False)])
def test_a_map_is_what_has_rows_and_columns_at_both_ends(shape: tuple[int, ...], makes_a_map: bool, tmp_path: Path) -> None:
    count = int(np.prod(shape))

    def body(x: Any) -> Any:
        return mb.reshape(x=mb.slice_by_size(x=mb.reshape(x=mb.square(x=x), shape=[192]), begin=[0], size=[count]), shape=list(shape))

    assert gives_map(read_graph(save_program(tmp_path, body, [np.zeros((1, 3, 8, 8), np.float16)]))) is makes_a_map


def test_float32_is_not_estimated(packages: dict[str, Path]) -> None:
    assert all("float32" in chip.reason for chip in estimate(read_graph(packages["fp32"])).chips)


def test_a_package_of_several_sizes_is_estimated_as_one_of_a_single_size(tmp_path: Path) -> None:
    network, sizes = nn.Conv2d(3, 64, 3), ((256, 256), (320, 384))
    shapes = ct.EnumeratedShapes([[1, 3, *size] for size in sizes], default=[1, 3, *sizes[0]])
    half: dict[str, Any] = {"compute_precision": ct.precision.FLOAT16}
    several = convert(network, [torch.rand(1, 3, *sizes[0])], tmp_path, "several", inputs=[ct.TensorType("x", shape=shapes)], **half)
    for size in sizes:
        inputs = [ct.TensorType("x", shape=(1, 3, *size))]
        single = convert(network, [torch.rand(1, 3, *size)], tmp_path, f"single{size[0]}", inputs=inputs, **half)
        ours, theirs = (estimate(graph) for graph in (read_graph(several, size=size), read_graph(single)))
        assert [(chip.ms, chip.reason) for chip in ours.chips] == [(chip.ms, chip.reason) for chip in theirs.chips]
        assert any(chip.ms for chip in ours.chips)
    assert estimate(read_graph(several)).network == estimate(read_graph(several, size=sizes[0])).network


def test_what_is_faster_than_everything_published_is_not_estimated(tmp_path: Path) -> None:
    path = save_program(tmp_path, lambda x: mb.square(x=x), [np.zeros((1, 1, 1, 32), np.float16)])
    for chip in estimate(read_graph(path)).chips:
        assert chip.ms is None or chip.ms >= STORED["chips"][chip.chip]["fastest_ms"]
    assert "too small" in next(chip.reason for chip in estimate(read_graph(path)).chips if chip.chip == "A15")


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
    weight = np.zeros((4096, 1024, 3, 3), np.float16)
    path = save_program(tmp_path, lambda x: mb.conv(x=x, weight=weight, pad_type="same"), [np.zeros((1, 1024, 64, 64), np.float16)])
    found = estimate(read_graph(path))
    (a16,) = [chip for chip in found.chips if chip.chip == "A16"]
    assert [text.split(" (")[0] for text in a16.outside] == ["GMACs 155", "weights MB 75.5"]
    assert any("beyond what was fitted" in note and "A16" in note for note in notes(found))


def test_parts_that_leave_the_engine_are_counted_and_named(tmp_path: Path) -> None:
    """A convolution of width 17 falls back by the published rules; between two of them one of width 3 does not."""

    def body(x: Any) -> Any:
        for width in (3, 17, 3, 17):
            x = mb.conv(x=x, weight=np.ones((32, 32, 1, width), np.float16), pad_type="same")
        return x

    left = estimate(read_graph(save_program(tmp_path, body, [np.zeros((1, 32, 256, 256), np.float16)])))
    assert left.departures == 2
    assert any("2 parts leave the engine" in note and "0.6 to 1.75 ms" in note for note in notes(left))


def test_inspect_prints_every_figure_with_its_interval_and_the_word_estimate(packages: dict[str, Path]) -> None:
    columns, rows = table(estimate(read_graph(packages["fp16"])))
    assert columns[1:3] == ["estimated ms", "80% interval"]
    for row in rows:
        if row[1] != "none":
            low, high = map(float, row[2].split(" to "))
            assert low <= float(row[1]) <= high
    shared = {row[0] for row in rows if "(shared)" in row[-1]}
    assert shared == {name for name, chip in STORED["chips"].items() if chip["shared"]} & {row[0] for row in rows if row[1] != "none"}
    shown = CliRunner().invoke(command, [str(packages["fp16"]), "--estimate"])
    assert shown.exit_code == 0, shown.output
    assert "latency: estimate from published latencies, not run on a device" in shown.output
    assert "estimate, 80% interval, leave-one-network-out" in shown.output
    assert "have few published networks, so their constants follow those of the other chips" in shown.output


def test_a_checkpoint_has_nothing_to_estimate() -> None:
    refused = CliRunner().invoke(command, ["builtin", "--estimate"])
    assert "export it to an .mlpackage first" in str(refused.exception)
