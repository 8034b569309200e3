import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.cli.inspect import command
from fcrn_mobile.json_text import json_text
from fcrn_mobile.latency.placement import RULES, describe, judge, padding, place
from fcrn_mobile.mil.declared import Tensor
from fcrn_mobile.mil.graph import Graph, Node, read_graph
from fcrn_mobile.mil.ops import OPERATORS
from tests.mil.build import mb, save_program


def half(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float16)


def verdicts(path: Path) -> dict[str, str]:
    return {op.operator: op.verdict for op in place(read_graph(path)).operators}


def test_every_rule_names_known_operators_and_existing_sources() -> None:
    rules = tomllib.loads(RULES.read_text())
    lacking = {"cond", "while_loop", "make_list", "read_state"}
    lacking |= {f"list_{what}" for what in ("gather", "length", "read", "scatter", "write")}
    assert all(source["url"].startswith("https://") and source["name"] for source in rules["sources"].values())
    unconditional: list[str] = []
    for rule in rules["rule"]:
        assert rule["verdict"] in ("runs", "falls back", "unknown")
        assert rule["reason"]
        assert rule["sources"]
        assert set(rule["sources"]) <= set(rules["sources"])
        assert ("property" in rule) == ("above" in rule or "one_of" in rule)
        if rule["operators"] != ["*"]:
            assert set(rule["operators"]) <= set(OPERATORS) | lacking
        if "property" not in rule:
            unconditional += rule["operators"]
    assert len(unconditional) == len(set(unconditional))


def test_a_gather_splits_the_graph(tmp_path: Path) -> None:
    path = save_program(tmp_path, lambda x: mb.relu(x=mb.gather(x=mb.square(x=x), indices=np.array([2, 0]), axis=1)), [half(1, 4, 8, 32)])
    placement = place(read_graph(path))
    assert [(segment.unit, segment.operators) for segment in placement.segments] == [("ANE", 1), ("CPU", 1), ("ANE", 1)]
    (gather,) = [op for op in placement.operators if op.operator == "gather"]
    assert gather.verdict == "falls back"
    assert gather.sources == ("sweep",)
    assert describe(placement)["segments"] == "3: ANE 1 → CPU 1 → ANE 1"


def test_float32_falls_back_where_float16_runs(tmp_path: Path) -> None:
    def body(x: object) -> object:
        return mb.relu(x=x)

    assert verdicts(save_program(tmp_path, body, [half(1, 4, 8, 32)])) == {"relu": "runs"}
    assert verdicts(save_program(tmp_path, body, [np.zeros((1, 4, 8, 32), np.float32)])) == {"relu": "falls back"}


@pytest.mark.parametrize(("width", "verdict"), [(13, "runs"), (14, "unknown"), (15, "unknown"), (16, "falls back")])
def test_a_wide_kernel_does_not_compile(tmp_path: Path, width: int, verdict: str) -> None:
    weight = np.zeros((2, 2, 1, width), np.float16)
    assert verdicts(save_program(tmp_path, lambda x: mb.conv(x=x, weight=weight), [half(1, 2, 4, 64)])) == {"conv": verdict}


@pytest.mark.parametrize(("dilation", "verdict"), [(1, "runs"), (2, "unknown")])
def test_sources_disagree_on_dilated_convolutions(tmp_path: Path, dilation: int, verdict: str) -> None:
    weight = np.zeros((2, 2, 3, 3), np.float16)
    path = save_program(tmp_path, lambda x: mb.conv(x=x, weight=weight, dilations=[dilation] * 2), [half(1, 2, 16, 64)])
    assert verdicts(path) == {"conv": verdict}


@pytest.mark.parametrize(
    ("kernel", "stride", "verdict"), [(3, 2, "runs"), (13, 2, "runs"), (14, 2, "unknown"), (32, 1, "falls back"), (3, 3, "unknown")]
)
def test_pooling_windows_and_strides(tmp_path: Path, kernel: int, stride: int, verdict: str) -> None:
    def body(x: object) -> object:
        return mb.max_pool(x=x, kernel_sizes=[kernel] * 2, strides=[stride] * 2, pad_type="valid")

    assert verdicts(save_program(tmp_path, body, [half(1, 2, 64, 64)])) == {"max_pool": verdict}


def test_rank_6_is_rejected_and_what_nobody_published_is_unknown() -> None:
    deep = Tensor("y", "FLOAT16", (1, 1, 1, 1, 1, 32))
    assert judge(Node("add", "y", (), (deep,), {}, {}, 0)).verdict == "falls back"
    unheard_of = judge(Node("brand_new_operator", "y", (), (Tensor("y", "FLOAT16", (1, 32)),), {}, {}, 0))
    assert (unheard_of.verdict, unheard_of.sources) == ("unknown", ())


def test_an_unknown_operator_stays_where_its_predecessor_is() -> None:
    tensor = Tensor("y", "FLOAT16", (1, 32))
    nodes = [Node(kind, kind, (), (tensor,), {}, {}, 0) for kind in ("cast", "add", "cumsum", "new_operator", "relu")]
    units = place(Graph(tuple(nodes), (), (), ())).segments
    assert [(unit.unit, unit.operators, unit.first) for unit in units] == [
        ("ANE", 2, "cast"),
        ("CPU", 2, "cumsum"),
        ("ANE", 1, "relu"),
    ]


@given(
    st.lists(st.integers(1, 200), min_size=1, max_size=4),
    st.sampled_from([("FLOAT16", np.float16), ("INT8", np.int8), ("FLOAT32", np.float32)]),
)
@settings(max_examples=100, deadline=None)
def test_padding_is_what_rows_of_64_bytes_take(shape: list[int], kind: tuple[str, type]) -> None:
    name, dtype = kind
    array = np.zeros(shape, dtype)
    row = shape[-1] * array.itemsize
    padded = np.zeros((array.size // shape[-1], row + -row % 64), np.uint8)
    assert padding(Tensor("x", name, tuple(shape))) == pytest.approx(padded.nbytes / array.nbytes)


def test_a_singleton_takes_32_times_its_memory_and_is_named_at_the_boundary(tmp_path: Path) -> None:
    path = save_program(tmp_path, lambda x: mb.reduce_mean(x=x, axes=[3], keep_dims=True), [half(1, 4, 8, 32)])
    alignment = place(read_graph(path)).alignment
    (tensor,) = alignment.padded
    assert (tensor.factor, tensor.boundary, tensor.shape) == (32, True, (1, 4, 8, 1))
    assert (alignment.results, alignment.bytes, alignment.padded_bytes) == (2, 2 * 4 * 8 * 33, 2 * 4 * 8 * 64)
    assert "1×4×8×1" in describe(place(read_graph(path)))["padded inputs, outputs"]


def test_bytes_of_constants_are_those_of_the_weights_file(packages: dict[str, Path]) -> None:
    for precision, path in packages.items():
        on_disk = (path / "Data/com.apple.CoreML/weights/weight.bin").stat().st_size
        # On disk every constant has a header of 64 bytes and is aligned; small ones stand in the specification.
        assert read_graph(path).weight_bytes == pytest.approx(on_disk, rel=0.01), precision


def test_int8_weights_are_compressed_and_fp16_weights_stay_large(packages: dict[str, Path]) -> None:
    fp16, int8 = (place(read_graph(packages[precision])).weights for precision in ("fp16", "int8"))
    assert fp16.uncompressed_bytes > 0.99 * fp16.bytes
    assert fp16.uncompressed[0].bytes == max(tensor.bytes for tensor in fp16.uncompressed)
    assert int8.uncompressed == ()
    assert int8.bytes == pytest.approx(fp16.bytes / 2, rel=0.03)


def test_inspect_says_that_placement_ran_on_no_device(packages: dict[str, Path]) -> None:
    shown = CliRunner().invoke(command, [str(packages["fp16"])])
    assert shown.exit_code == 0, shown.output
    assert "placement: published rules, not run on a device" in shown.output
    assert "latency" not in shown.output
    facts = json.loads(CliRunner().invoke(command, [str(packages["fp16"]), "--json", "-"]).output)
    assert sum(facts["placement"]["counts"].values()) == len(facts["placement"]["operators"]) == sum(facts["operators"].values())
    assert all(entry["reason"] for entry in facts["placement"]["operators"])


def test_a_placement_as_json_has_the_words_and_keys_that_its_readers_know(tmp_path: Path) -> None:
    path = save_program(tmp_path, lambda x: mb.reduce_mean(x=x, axes=[3], keep_dims=True), [half(1, 4, 8, 32)])
    graph = read_graph(path)
    # coremltools numbers names over all programs of a process.
    (name,) = [node.name for node in graph.nodes]
    written = json.loads(json_text(place(graph)))
    assert list(written) == ["basis", "counts", "segments", "operators", "alignment", "weights", "sources"]
    assert written["basis"] == "published rules, not run on a device"
    assert written["segments"] == [{"unit": "ANE", "operators": 1, "first": name, "last": name}]
    assert list(written["operators"][0]) == ["operator", "name", "verdict", "reason", "sources", "case"]
    padded = {"name": name, "shape": [1, 4, 8, 1], "dtype": "FLOAT16", "factor": 32.0, "boundary": True}
    assert written["alignment"]["padded"] == [padded]
    assert list(written["alignment"]) == ["results", "bytes", "padded_bytes", "padded", "sources", "reason"]
    assert list(written["weights"]) == ["bytes", "uncompressed_bytes", "uncompressed", "too_large", "sources", "reason"]
    assert all(set(source) == {"name", "url"} for source in written["sources"].values())
