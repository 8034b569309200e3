import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.conversion.recipe import Calibration, Recipe, make_recipe, read_recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.budget import parse_limit
from fcrn_mobile.quantize.scheme import OPTIONS, TARGETS, Linear, Palette, Scheme, Sparsity

SHIPPED = sorted((Path(__file__).parents[2] / "export").glob("*.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.name == f"fcrn-{path.stem}"
    assert path.stem.startswith(recipe.precision) or recipe.ops
    first = path.read_text().splitlines()[0]
    assert first.startswith("# ")
    assert recipe.target in first.replace("iOS ", "iOS")
    assert [parse_limit(f"{metric}={amount}").metric for metric, amount in recipe.budget.items()] == ["fidelity"] * bool(recipe.budget)


def test_every_key_is_read(tmp_path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(
        'name = "n"\nprecision = "int8"\ninput_size = [64, 96]\noutput = "array"\ntarget = "iOS18"\n'
        'compute_units = "all"\nform = "fused"\nbudget = { abs_rel = "1%", fidelity = 0.05 }\n'
    )
    budget = {"abs_rel": "1%", "fidelity": "0.05"}
    assert read_recipe(path) == Recipe("n", "int8", (64, 96), "array", "iOS18", "all", "fused", budget)


EVERY_KEY = """
name = "n"
precision = "int4"
block_size = 16
otherwise = "int8"
target = "iOS18"
min_elements = 100
activations = "int8"

[[ops]]
match = "*depthwise*"
precision = "fp16"

[[ops]]
match = ["decoder_0_*", "head_weight"]
precision = "sparse50-palette4"
granularity = "per_grouped_channel"
group_size = 16

[calibration]
data = "folder:rooms#train"
images = 8
seed = 3
method = "mse"
"""


def test_a_scheme_is_read_into_its_parts(tmp_path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(EVERY_KEY)
    recipe = read_recipe(path)
    assert recipe.scheme == Scheme("int4", linear=Linear(4, "per_block", 16), min_elements=100, otherwise=recipe.scheme.otherwise)
    assert recipe.scheme.otherwise == Scheme("int8", linear=Linear(8), min_elements=100)
    assert [override.match for override in recipe.ops] == [("*depthwise*",), ("decoder_0_*", "head_weight")]
    assert recipe.ops[1].scheme == Scheme("sparse50-palette4", Sparsity(0.5), Palette(4, group_size=16))
    assert recipe.calibration == Calibration("folder:rooms#train", 8, 3, "mse")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_the_metadata_says_is_the_recipe(path: Path) -> None:
    recipe = read_recipe(path)
    assert make_recipe(json.loads(json.dumps(recipe.to_json())), "metadata") == recipe


def test_every_key_survives_the_metadata(tmp_path) -> None:
    recipe = make_recipe(tomllib.loads(EVERY_KEY), "test")
    assert make_recipe(json.loads(json.dumps(recipe.to_json())), "metadata") == recipe


@pytest.mark.parametrize(
    ("precision", "target"),
    [("fp32", "iOS16"), ("int8", "iOS16"), ("palette4", "iOS16"), ("sparse50", "iOS16"), ("sparse2:4", "iOS16"), ("w8a8", "iOS17")]
    + [(name, "iOS18") for name in ("int4", "palette3", "sparse50-palette4", "sparse50-int8", "palette4-int8")],
)
def test_without_a_target_it_is_the_oldest_that_works(precision: str, target: str) -> None:
    assert Recipe(precision=precision).target == target
    older = [system for system in TARGETS if TARGETS[system] < TARGETS[target]]
    for system in older:
        with pytest.raises(InputError, match=f"target is '{system}', but .* needs {target}: write target = \"{target}\", or use what runs"):
            Recipe(precision=precision, target=system)


def test_an_override_can_be_what_needs_the_target() -> None:
    ops = [{"match": "*", "precision": "palette4", "granularity": "per_grouped_channel"}]
    assert make_recipe({"ops": ops}, "test").target == "iOS18"
    with pytest.raises(InputError, match=r"target is 'iOS17', but palette4 \(grouped channels\) needs iOS18"):
        make_recipe({"ops": ops, "target": "iOS17"}, "test")


def test_w8a8_is_int8_weights_and_activations() -> None:
    recipe = Recipe(precision="w8a8")
    assert recipe.scheme == Scheme("int8", linear=Linear(8), min_elements=512)
    assert (recipe.activations, recipe.calibration) == ("int8", None)
    assert Recipe(precision="a8").scheme == Scheme("fp16")


@given(
    values=st.dictionaries(
        st.sampled_from(["precision", "ops", "calibration", "activations", "target", *OPTIONS]),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-3, 40),
            st.floats(),
            st.sampled_from(["int4", "palette4", "per_block", "sparse50", "kmeans", "iOS18", "int8", "*", "sparse", "per_grouped_channel"]),
            st.lists(st.dictionaries(st.sampled_from(["match", "precision", "block_size"]), st.sampled_from(["*", "int8", 3, []]))),
            st.dictionaries(st.sampled_from(["data", "images", "seed", "method"]), st.sampled_from(["sample", 3, "mse", None])),
        ),
    )
)
@settings(max_examples=300, deadline=None)
def test_any_values_give_a_recipe_or_one_line(values) -> None:
    try:
        recipe = make_recipe(values, "any.toml")
    except InputError as error:
        assert str(error).startswith("recipe 'any.toml': ")
        assert "\n" not in str(error)
    else:
        assert make_recipe(recipe.to_json(), "again") == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('precission = "fp16"', "unknown key 'precission': allowed are activations, block_size, budget"),
        ('precision = "fp8"', "precision is 'fp8': use one of fp32, fp16, int8"),
        ("input_size = [224]", "input_size is [224]: give [height, width]"),
        ("input_size = [8, 8]", "from 32 to 4096"),
        ('target = "iOS12"', "target is 'iOS12'"),
        ("name = 3", "name is 3"),
        ("precision = 8", "precision is 8"),
        ('precision = "palette5"', "precision is 'palette5': use one of fp32, fp16, int8, int4, palette8"),
        ('precision = "int8-palette4"', "precision is 'int8-palette4'"),
        ('precision = "sparse100"', "precision is 'sparse100'"),
        ('precision = "sparse4:2"', "N has to be less than M"),
        ('precision = "palette2-int8"', "tables of palette4, palette6 and palette8 may be int8"),
        ('precision = "sparse"', "threshold is None"),
        ('precision = "sparse"\nthreshold = nan', "threshold is nan"),
        ('precision = "fp16"\nblock_size = 8', "block_size means nothing here, with precision 'fp16': it belongs to int8 and int4"),
        ('precision = "int8"\nblock_size = 8', "block_size means nothing here, with precision 'int8'"),
        ('precision = "palette4"\ngroup_size = 8', "group_size means nothing here"),
        (
            'precision = "int8"\notherwise = "fp16"',
            "otherwise means nothing here, with precision 'int8': it belongs to schemes that do not fit",
        ),
        ('precision = "int4"\nblock_size = 0', "block_size is 0: give a whole number from 1 to"),
        ('precision = "int4"\nblock_size = true', "block_size is True"),
        ('precision = "int4"\notherwise = "int5"', "otherwise: precision is 'int5': use one of"),
        ('precision = "int8"\ngranularity = "per_row"', "granularity is 'per_row': use one of per_tensor, per_channel, per_block"),
        ('precision = "palette4"\nmode = "symmetric"', "mode is 'symmetric': use one of kmeans, uniform"),
        ('precision = "palette4"\nmode = "uniform"\nvector_size = 2', 'vector_size is 2: mode = "uniform" take no palette of vectors'),
        ('precision = "sparse50-palette4"\nvector_size = 2', "sparse weights take no palette of vectors"),
        ('precision = "int4"\ntarget = "iOS17"', "target is 'iOS17', but int4 (4-bit integers) needs iOS18"),
        ("ops = 3", "ops is 3: write a table [[ops]]"),
        ('[[ops]]\nmatch = "*"', "[[ops]] number 1: precision is None"),
        ('[[ops]]\nprecision = "int8"', "[[ops]] number 1: match is None"),
        ('[[ops]]\nmatch = []\nprecision = "int8"', "match is []"),
        (
            '[[ops]]\nmatch = "*"\nprecision = "int8"\ntarget = "iOS18"',
            "[[ops]] number 1: unknown key 'target': allowed are activations, block_size",
        ),
        ('activations = "int8"\n[[ops]]\nmatch = "*"\nactivations = "int4"', "activations is 'int4': use one of fp16, int8"),
        ('[[ops]]\nmatch = "*"\nactivations = "fp16"', "activations of [[ops]] mean nothing here"),
        ('activations = "int8"\n[calibration]\npercentile = 120', "calibration.percentile is 120: give a number from 50 to 100"),
        ('[[ops]]\nmatch = "*"\nprecision = "w8a8"', "[[ops]] number 1: precision is 'w8a8': use one of"),
        ('activations = "int4"', "activations is 'int4': use one of fp16, int8"),
        ('activations = "int8"\nprecision = "fp32"', 'precision "fp32" keeps them float32'),
        ('[calibration]\ndata = "sample"', "calibration means nothing here"),
        ('activations = "int8"\n[calibration]\nimage = 3', "unknown key 'image': allowed are data, images, method, percentile, seed"),
        ('activations = "int8"\n[calibration]\nimages = 0', "calibration.images is 0"),
        ('activations = "int8"\n[calibration]\nmethod = "max"', "calibration.method is 'max': use one of minmax, percentile, mse"),
        ('activations = "int8"\n[calibration]\ndata = ""', "calibration.data is ''"),
        ("budget = 3", "budget is 3"),
        ("budget = { speed = 3 }", "budget 'speed=3': write METRIC=AMOUNT with one of fidelity, boundary_drift, abs_rel"),
        ("budget = { fidelity = 0 }", "budget 'fidelity=0': less than the rounding of depth in float32"),
        ("budget = { fidelity = 0.0001 }", "less than the rounding of depth in float16"),
        ('budget = { fidelity = "little" }', "'little' is not an amount"),
        ("= broken", "not valid TOML"),
    ],
)
def test_a_bad_recipe_names_file_key_and_remedy(text: str, message: str, tmp_path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_recipe(path)
    assert message in str(error.value)
    assert "bad.toml" in str(error.value)


def test_a_missing_recipe_is_named(tmp_path) -> None:
    with pytest.raises(InputError, match=r"none\.toml"):
        read_recipe(tmp_path / "none.toml")
