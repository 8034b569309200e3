"""A recipe key by key: what it is unless said otherwise, the last values that are allowed, and which override counts."""

from typing import Any

import pytest

from fcrn_mobile.conversion.correct_table import Correct
from fcrn_mobile.conversion.recipe import COREML_ONLY, Calibration, Override, Recipe, make_recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.quantize.scheme import Palette


def recipe(**values: Any) -> Recipe:
    return make_recipe(values, "test")


def refusal(**values: Any) -> str:
    with pytest.raises(InputError) as error:
        recipe(**values)
    return str(error.value).removeprefix("recipe 'test': ")


def test_what_nothing_is_said_of_is_as_documented() -> None:
    assert Recipe().to_json() == {
        "name": "fcrn",
        "precision": "fp16",
        "input_size": None,
        "output": "image",
        "target": "iOS16",
        "compute_units": "cpuAndNeuralEngine",
        "form": "four",
        "budget": {},
    }
    assert Calibration() == Calibration("", 24, 0, "minmax", 99.99)
    assert Override(("*",)) == Override(("*",), "", {}, "")
    assert {"output", "target", "compute_units", "options", "ops", "activations", "calibration", "correct"} == set(COREML_ONLY)


@pytest.mark.parametrize("value", [None, *[(key, None) for key in ("name", "precision", "ops", "correct", "input_size")]])
def test_what_is_null_is_not_said(value: Any) -> None:
    assert recipe(**(dict([value]) if value else {})) == Recipe()


@pytest.mark.parametrize("size", [[32, 32], [32, 4096], [4096, 32], (48, 64)])
def test_sizes_from_32_to_4096_are_taken(size: Any) -> None:
    assert recipe(input_size=size).input_size == tuple(size)


@pytest.mark.parametrize("size", [[31, 64], [64, 31], [64, 4097], [4097, 64], [64], [64, 64, 64], 64, "64", [64.0, 64], [64, "64"], []])
def test_other_sizes_are_not(size: Any) -> None:
    assert refusal(input_size=size) == f"input_size is {size!r}: give [height, width] in pixels, each from 32 to 4096"


W8A8: dict[str, Any] = {"precision": "w8a8"}


@pytest.mark.parametrize("share", [50, 100, 50.0, 99.99, 100.0])
def test_percentiles_from_50_to_100_are_taken(share: float) -> None:
    made = recipe(**W8A8, calibration={"percentile": share})
    assert made.calibration is not None and made.calibration.percentile == share


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [
        *(("percentile", value, "give a number from 50 to 100, such as 99.99") for value in (49.9, 100.1, True, "99", float("nan"))),
        *(("images", value, "give a whole number from 1") for value in (0, -1, True, 3.0, "3")),
        *(("seed", value, "give a whole number from 0") for value in (-1, False, 0.0)),
        ("method", "max", "use one of minmax, percentile, mse"),
        *(("data", value, 'give a data spec such as "sample" or "folder:PATH"') for value in ("", 3, None)),
    ],
)
def test_calibration_values_that_are_not_allowed(key: str, value: Any, remedy: str) -> None:
    assert refusal(**W8A8, calibration={key: value}) == f"calibration.{key} is {value!r}: {remedy}"


@pytest.mark.parametrize(("key", "value"), [("images", 1), ("seed", 0), ("method", "mse"), ("data", "x")])
def test_calibration_values_that_are(key: str, value: Any) -> None:
    assert getattr(recipe(**W8A8, calibration={key: value}).calibration, key) == value


def test_calibration_is_a_table() -> None:
    expected = "calibration is 3: write a table [calibration] with data, images, seed, method, percentile"
    assert refusal(**W8A8, calibration=3) == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ((None, None, None), Calibration("a#train", 3, 5, "mse", 99.0)),
        (("b", None, None), Calibration("b", 3, 5, "mse", 99.0)),
        ((None, 7, None), Calibration("a#train", 7, 5, "mse", 99.0)),
        ((None, None, 0), Calibration("a#train", 3, 0, "mse", 99.0)),
        (("b", 7, 9), Calibration("b", 7, 9, "mse", 99.0)),
    ],
)
def test_other_images_replace_what_a_recipe_says_of_them(asked: Any, expected: Calibration) -> None:
    said: dict[str, Any] = {"data": "a#train", "images": 3, "seed": 5, "method": "mse", "percentile": 99.0}
    before = recipe(**W8A8, calibration=said)
    assert before.calibrated_on(*asked).calibration == expected
    assert before.calibration == Calibration(**said)
    assert before.calibrated_on(*asked).name == before.name


def test_images_for_a_recipe_that_says_nothing_of_them() -> None:
    assert recipe(**W8A8).calibrated_on("b").calibration == Calibration("b")
    assert recipe(**W8A8).calibrated_on(None, 3).calibration == Calibration("", 3)
    assert recipe(**W8A8).calibrated_on(None, None, 4).calibration == Calibration("", 24, 4)
    alone = recipe(**W8A8)
    assert alone.calibrated_on(None) is alone


@pytest.mark.parametrize(
    ("values", "asked", "message"),
    [
        (W8A8, ("b", 0), "recipe 'fcrn' with calibration.data = 'b', calibration.images = 0: calibration.images is 0"),
        (W8A8, (None, 0), "recipe 'fcrn' with calibration.images = 0: calibration.images is 0"),
        ({}, ("b",), "recipe 'fcrn' with calibration.data = 'b': calibration means nothing here"),
    ],
)
def test_images_that_cannot_be_asked_for(values: dict[str, Any], asked: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        recipe(**values).calibrated_on(*asked)
    assert str(error.value).startswith(message)


OPS = [
    {"match": "stem_*", "precision": "palette4"},
    {"match": ["*_weight", "head?"], "precision": "fp16"},
    {"match": "stem_last_weight", "activations": "int8"},
]


@pytest.mark.parametrize(
    ("names", "scheme", "int8"),
    [
        (["body"], "int8", True),
        (["stem_bias"], "palette4", True),
        (["stem_weight"], "fp16", False),
        (["x", "stem_weight"], "fp16", False),
        (["head1"], "fp16", False),
        (["head12"], "int8", True),
        (["stem_last_weight"], "fp16", True),
        ([], "int8", True),
    ],
)
def test_the_last_override_that_matches_counts(names: list[str], scheme: str, int8: bool) -> None:
    made = recipe(**W8A8, ops=OPS)
    assert made.scheme_for(names).name == scheme
    assert made.quantizes_activations(names) == int8


def test_without_int8_activations_no_operator_has_them() -> None:
    plain = recipe(precision="int8", ops=[{"match": "a", "precision": "fp16"}])
    assert not plain.quantizes_activations(["a"]) and not plain.quantizes_activations(["b"])
    made = recipe(
        **W8A8, ops=[{"match": "a", "activations": "fp16"}, {"match": "b", "precision": "fp32"}, {"match": "c", "precision": "int8"}]
    )
    assert [made.quantizes_activations([name]) for name in "abcd"] == [False, False, True, True]


def test_overrides_are_read_as_they_are_written() -> None:
    made = recipe(**W8A8, ops=OPS).ops
    assert made == (
        Override(("stem_*",), "palette4"),
        Override(("*_weight", "head?"), "fp16"),
        Override(("stem_last_weight",), "", {}, "int8"),
    )
    assert [override.to_json() for override in made] == [
        {"match": ["stem_*"], "precision": "palette4"},
        {"match": ["*_weight", "head?"], "precision": "fp16"},
        {"match": ["stem_last_weight"], "activations": "int8"},
    ]
    assert made[0].scheme.palette == Palette(4) and made[0].scheme.min_elements == 0
    options = recipe(ops=[{"match": "a", "precision": "palette4", "mode": "uniform"}]).ops[0]
    assert options.to_json() == {"match": ["a"], "precision": "palette4", "mode": "uniform"}
    assert [made[1].matches([name]) for name in ("a_weight", "head1", "head", "Head1")] == [True, True, False, False]
    assert not made[1].matches([])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        *(
            ({"match": match, "precision": "fp16"}, f"match is {match!r}: give a name or pattern")
            for match in (None, "", [], ["a", ""], ["", "a"], ["a", 3], 3)
        ),
        ({"match": "a"}, 'precision is None: give the precision of these weights, such as "fp16"'),
        ({"match": "a", "precision": 8}, "precision is 8: give the precision"),
        ({"match": "a", "activations": "int8", "mode": "uniform"}, "precision is None: give the precision"),
        ({"match": "a", "precision": ""}, "precision is '': use one of"),
        ({"match": "a", "activations": "int4"}, "activations is 'int4': use one of fp16, int8"),
        ({"match": "a", "precision": "fp16", "form": "four"}, "unknown key 'form': allowed are activations, block_size"),
        ({"match": "a", "precision": "int8", "activations": "int8", "block_size": 3}, "block_size means nothing here"),
    ],
)
def test_an_override_that_says_nothing_is_named_by_its_number(override: dict[str, Any], message: str) -> None:
    good = {"match": "b", "precision": "int8"}
    assert refusal(**W8A8, ops=[override, good]).startswith(f"[[ops]] number 1: {message}")
    assert refusal(**W8A8, ops=[good, override]).startswith(f"[[ops]] number 2: {message}")


@pytest.mark.parametrize("ops", [3, "x", {"match": "a"}, [3], [{"match": "a", "precision": "int8"}, 3]])
def test_overrides_are_tables(ops: Any) -> None:
    assert refusal(ops=ops).startswith(f"ops is {ops!r}: write a table [[ops]]")


def test_every_scheme_is_asked_for_its_target() -> None:
    made = recipe(
        precision="int4",
        otherwise="palette6",
        ops=[{"match": "a", "precision": "palette3"}, {"match": "b", "precision": "int4", "otherwise": "fp16"}],
    )
    assert [scheme.name for scheme in made.schemes] == ["int4", "palette3", "int4", "palette6", "fp16"]
    silent = recipe(**W8A8, ops=[{"match": "a", "activations": "fp16"}])
    assert [scheme.name for scheme in silent.schemes] == ["int8"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (W8A8 | {"target": "iOS16"}, "target is 'iOS16', but int8 activations needs iOS17: write target = \"iOS17\""),
        ({"precision": "int4", "target": "iOS17"}, "target is 'iOS17', but int4 (4-bit integers) needs iOS18"),
        ({"precision": "fp16", "correct": {}}, "correct means nothing here: precision 'fp16' leaves nothing to correct"),
        ({"precision": "int8", "calibration": {}}, 'calibration means nothing here: it belongs to activations = "int8" or'),
        ({"precision": "fp32", "activations": "int8"}, "activations is 'int8': precision \"fp32\" keeps them float32"),
        ({"form": "three"}, "form is 'three': use one of four, fused"),
        ({"output": "both"}, "output is 'both': use one of image, array"),
        ({"compute_units": "gpu"}, "compute_units is 'gpu': use one of all, cpuAndNeuralEngine, cpuAndGPU, cpuOnly"),
        ({"activations": "int4"}, "activations is 'int4': use one of fp16, int8"),
        ({"options": {}}, "unknown key 'options': allowed are activations, "),
        ({"name": 3}, "name is 3: give a text"),
        ({"budget": {"fidelity": None}}, "budget is {'fidelity': None}: write a table"),
        ({"budget": {"fidelity": 0.0001}}, "budget 'fidelity=0.0001': less than the rounding of depth in float16"),
        (
            {"precision": "fp32", "ops": [{"match": "a", "precision": "fp16"}], "budget": {"fidelity": 0.0001}},
            "budget 'fidelity=0.0001': less than the rounding of depth in float16",
        ),
    ],
)
def test_combinations_that_mean_nothing(values: dict[str, Any], message: str) -> None:
    assert refusal(**values).startswith(message)


def test_combinations_that_do() -> None:
    assert recipe(precision="fp32", budget={"fidelity": 0.0001}).budget == {"fidelity": "0.0001"}
    assert recipe(precision="fp16", ops=[{"match": "a", "precision": "int8"}], correct={}).correct == Correct()
    assert recipe(precision="int8", correct={}, calibration={}).calibration == Calibration()
    assert recipe(**W8A8, target="iOS18").target == "iOS18"
    assert recipe(**W8A8).target == "iOS17"
    assert recipe(precision="int8", target="iOS16").target == "iOS16"


def test_what_is_written_into_the_metadata() -> None:
    told = recipe(**W8A8, correct={"bias": True}, calibration={"data": "x"}, mode="asymmetric", ops=OPS[:1]).to_json()
    assert {key: told[key] for key in ("activations", "correct", "calibration", "mode", "ops")} == {
        "activations": "int8",
        "correct": {"equalise": False, "scale": False, "bias": True},
        "calibration": {"data": "x", "images": 24, "seed": 0, "method": "minmax", "percentile": 99.99},
        "mode": "asymmetric",
        "ops": [{"match": ["stem_*"], "precision": "palette4"}],
    }
    assert "data" not in recipe(**W8A8, calibration={"images": 3}).to_json()["calibration"]


def test_the_size_is_height_and_width_from_32_to_4096_pixels() -> None:
    assert recipe(input_size=[32, 4096]).input_size == (32, 4096)
    assert recipe(input_size=[4096, 32]).input_size == (4096, 32)
    for wrong in ([31, 64], [64, 4097], [64], [64, 64, 3], 64, "64"):
        assert refusal(input_size=wrong).startswith(f"input_size is {wrong!r}: give [height, width] in pixels")


def test_overrides_are_counted_from_one() -> None:
    sound = {"match": "*head*", "precision": "fp16"}
    assert refusal(ops=[{"match": "*head*", "precision": "int3"}, sound]).startswith("[[ops]] number 1: ")
    assert refusal(ops=[sound, {"match": "*head*", "precision": "int3"}]).startswith("[[ops]] number 2: ")


def test_a_budget_is_a_table_of_amounts() -> None:
    assert refusal(budget=["0.05"]).startswith("budget is ['0.05']: write a table")
    assert refusal(budget={"fidelity": ["0.05"]}).startswith("budget is {'fidelity': ['0.05']}: write a table")


def test_a_recipe_says_of_overrides_only_what_there_is() -> None:
    assert "ops" not in recipe().to_json()
    override = {"match": ["*head*"], "precision": "fp16"}
    assert recipe(ops=[override]).to_json()["ops"][0].items() >= override.items()


def test_calibration_is_told_by_its_keys_and_whole_numbers() -> None:
    assert "'imagse'" in refusal(calibration={"imagse": 3})
    for wrong in (2.5, True, "3", 0):
        assert refusal(calibration={"images": wrong}) == f"calibration.images is {wrong!r}: give a whole number from 1"
    assert refusal(calibration={"seed": -1}) == "calibration.seed is -1: give a whole number from 0"


def test_other_images_replace_what_the_recipe_says_and_nothing_else() -> None:
    own = recipe(precision="int8", correct={}, calibration={"data": "sample", "images": 7, "seed": 3, "method": "mse"})
    assert own.calibrated_on(None) is own
    other = own.calibrated_on("sample#val", seed=5).calibration
    assert other == Calibration("sample#val", images=7, seed=5, method="mse")
    assert recipe(precision="int8", correct={}).calibrated_on("sample", 4).calibration == Calibration("sample", images=4)


@pytest.mark.parametrize(
    ("metric", "amount", "said"), [("speed", 3, "budget 'speed=3': "), ("fidelity", "little", "'little' is not an amount")]
)
def test_a_single_precision_recipe_promises_what_can_be_measured(metric: str, amount: Any, said: str) -> None:
    assert said in refusal(precision="fp32", budget={metric: amount})


A, B, C = [64, 96], [96, 64], [64, 128]


def test_several_sizes_are_two_or_more_that_differ() -> None:
    for sizes in ([A, B], [A, B, C], (tuple(A), tuple(B))):
        made = recipe(input_sizes=sizes)
        assert made.input_sizes == tuple(map(tuple, sizes)) and made.input_size is None
        assert make_recipe(made.to_json(), "again") == made
        assert recipe(input_sizes=sizes, input_size=A).input_size == tuple(A)
        assert refusal(input_sizes=sizes, input_size=B).startswith("input_size is [96, 64], the first of input_sizes is another")
    for sizes in ([], [A], [A, A], [A, B, A]):
        assert refusal(input_sizes=sizes) == f"input_sizes is {sizes!r}: give two different sizes or more, or input_size for one"
    assert refusal(input_sizes="64x96").startswith("input_sizes is '64x96': give a list such as")
    assert refusal(input_sizes=[A, [31, 64]]).startswith("input_sizes: input_size is [31, 64]")
    assert "input_sizes" not in recipe().to_json()


def test_a_scale_is_a_number_above_nought() -> None:
    for value in (1e-9, 0.5, 1, 2, 1e9):
        made = recipe(scale=value)
        assert (made.scale, type(made.scale)) == (value, float)
        assert make_recipe(made.to_json(), "again") == made
    for value in (0, 0.0, -1, float("inf"), float("nan"), True, "1"):
        assert refusal(scale=value).startswith(f"scale is {value!r}: give what depth is multiplied by, a number above 0")
    assert recipe().scale is None and "scale" not in recipe().to_json()


def test_ranges_are_equalised_if_a_table_says_so() -> None:
    assert [recipe(precision="int8", correct={"equalise": value}).equalises for value in (True, False)] == [True, False]
    assert not recipe(precision="int8").equalises


def test_what_a_scheme_falls_back_on_may_need_a_target_of_its_own() -> None:
    needs = recipe(precision="int4", otherwise="palette6", activations="int8").needs()
    assert [target for target, _ in needs] == ["iOS18", "iOS16", "iOS17"]
    assert needs[-1] == ("iOS17", "int8 activations")
