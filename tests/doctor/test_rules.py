"""Every rule finds what is planted, and nothing in the twin."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fcrn_mobile.doctor import engine, loading
from fcrn_mobile.doctor.diagnosis import diagnose
from fcrn_mobile.doctor.rules import GROUPS, SEVERITIES, rules
from fcrn_mobile.mil.declared import Tensor
from fcrn_mobile.mil.graph import Graph, Weight, read_graph
from fcrn_mobile.quiet import quiet_coremltools
from tests.doctor.plants import HALF, PLANTS, gathered, network, program
from tests.mil.build import mb, save_program
from tests.mil.specifications import Model, feature

with quiet_coremltools():
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

#: Rules whose models no test can write: gigabytes. They are tried on graphs.
GIGABYTES = {"constant-of-2-gb", "too-large"}
#: Told by a file beside the model, see ``test_units``.
BESIDE = {"units-missing"}


def names(path: Path) -> set[str]:
    return {finding.rule.id for finding in diagnose(path).findings}


@pytest.mark.parametrize("rule", PLANTS)
def test_what_is_planted_is_found_and_the_twin_is_clean(rule: str, tmp_path: Path) -> None:
    plant = PLANTS[rule]
    assert names(plant.planted(tmp_path)) == {rule, *plant.others}
    assert names(plant.twin(tmp_path)) == plant.twins


def test_every_rule_is_planted() -> None:
    assert set(PLANTS) | GIGABYTES | BESIDE == set(rules())


def test_rules_are_whole() -> None:
    assert len(rules()) >= 40
    for rule in rules().values():
        assert rule.group in GROUPS
        assert rule.severity in SEVERITIES
        assert rule.symptom and rule.remedy and rule.sources, rule.id
        assert all(source.url.startswith("https://") for source in rule.sources)


def of(weight_bytes: int, **more: Any) -> Any:
    weight = Weight(Tensor("w", "FLOAT16", (weight_bytes // 2,)), weight_bytes, compressed=False)
    return SimpleNamespace(graph=Graph((), (), (), (weight,)), **more)


@pytest.mark.parametrize(("size", "found"), [(2**31, 1), (2**31 - 2, 0)])
def test_a_constant_of_2_gb_is_found(size: int, found: int) -> None:
    assert len([*loading.DETECTIONS["constant-of-2-gb"](of(size))]) == found


@pytest.mark.parametrize("too_large", [True, False])
def test_weights_too_large_for_the_engine_are_found(too_large: bool) -> None:
    weights = SimpleNamespace(too_large=too_large, bytes=1_200_000_000)
    places = [*engine.DETECTIONS["too-large"](SimpleNamespace(placement=SimpleNamespace(weights=weights)))]  # type: ignore[arg-type]
    assert [place.detail for place in places] == (["1.20 GB of weights"] if too_large else [])


def test_uneven_padding_shifts_what_a_transposed_convolution_gives(tmp_path: Path) -> None:
    """The program of coremltools #2324: four values, a kernel of 3, stride 2, one value cut off in front alone."""
    weight = np.ones((8, 4, 3), np.float16)

    def body(pad: list[int], length: int) -> Any:
        settings = {"pad": pad, "pad_type": "custom", "output_shape": [1, 4, length], "strides": [2]}
        return lambda x: mb.conv_transpose(x=x, weight=weight, **settings)

    paths = [save_program(tmp_path, body(pad, length), [np.zeros((1, 8, 4), np.float16)]) for pad, length in (([1, 0], 8), ([1, 1], 7))]
    assert ["output-shape" in names(path) for path in paths] == [True, False]


@pytest.mark.parametrize(("shape", "padded"), [((1, 10), False), ((2, 10), True), ((2, 32), False)])
def test_one_row_alone_needs_no_strides(shape: tuple[int, ...], padded: bool, tmp_path: Path) -> None:
    path = save_program(tmp_path, lambda x: mb.relu(x=x), [np.zeros(shape, np.float16)])
    assert ("padded-array-rows" in names(path)) == padded


def test_a_pipeline_of_apples_weights_may_take_any_size(tmp_path: Path) -> None:
    """As Create ML writes them: no program is in them that could not, or leave the engine for it."""
    spec = Model(specificationVersion=3)
    item = spec.description.input.add(name="image")
    item.type.imageType.colorSpace, item.type.imageType.height, item.type.imageType.width = 20, 299, 299
    size = item.type.imageType.imageSizeRange
    size.widthRange.lowerBound = size.heightRange.lowerBound = 299
    size.widthRange.upperBound = size.heightRange.upperBound = -1
    spec.visionFeaturePrint.scene.version = 1
    feature(spec.description.output, "features", ("DOUBLE", (2048,)))
    path = tmp_path / "scene.mlmodel"
    path.write_bytes(spec.SerializeToString())
    assert names(path) == {"array-from-vision"}


def test_units_are_missing_until_a_model_config_says_them(tmp_path: Path) -> None:
    path = PLANTS["simulator"].planted(tmp_path)
    assert "units-missing" in names(path)
    path.with_suffix(".toml").write_text('depth = "inverse"\n')
    assert "units-missing" not in names(path)


def test_a_program_that_is_mostly_off_the_engine_is_not_split(tmp_path: Path) -> None:
    def body(x: Any) -> Any:
        return mb.relu(x=gathered(gathered(gathered(mb.square(x=x)))))

    assert names(program(body)(tmp_path)) == {"off-engine"}


def test_types_that_networks_do_not_declare_are_no_finding(tmp_path: Path) -> None:
    """A layer that moves values alone passes on the float32 that goes in, which a program would have declared."""
    path = network(lambda builder: builder.add_transpose("moved", (1, 0, 2), "x", "y"))(tmp_path)
    assert {tensor.dtype for node in read_graph(path).nodes for tensor in node.outputs} == {"FLOAT32"}
    assert names(path) == {"neural-network"}


@pytest.mark.parametrize("float32", [True, False])
def test_statistics_in_float32_are_folded_before_they_are_rounded(float32: bool, tmp_path: Path) -> None:
    """Of the hourglass: a variance of 105,300 fits where it becomes a scale; one that stands there in float16 is infinite already."""
    mean, variance = np.zeros(4, np.float32), np.full(4, 105_300, np.float32)
    folded = network(lambda builder: builder.add_batchnorm("norm", 4, mean + 1, mean, mean, variance, "x", "y"))
    rounded = program(lambda x: mb.batch_norm(x=x, mean=HALF(mean), variance=np.full(4, np.inf, HALF)))
    assert names((folded if float32 else rounded)(tmp_path)) == ({"neural-network"} if float32 else {"beyond-float16"})


def test_a_label_that_is_looked_up_leaves_no_engine(tmp_path: Path) -> None:
    with quiet_coremltools():
        builder = NeuralNetworkBuilder([("x", datatypes.Array(4))], [("y", None)], mode="classifier")
        builder.add_softmax("y", "x", "y")
        builder.set_class_labels(["chair", "desk", "lamp", "wall"], predicted_feature_name="label")
    path = tmp_path / "rooms.mlmodel"
    path.write_bytes(builder.spec.SerializeToString())
    assert "classify" in {node.kind for node in read_graph(path).nodes}
    assert names(path) == {"neural-network"}
