"""Which scheme a weight gets, why one does not fit and what would, on weights by hand, and that what was asked for is checked."""

from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from fcrn_mobile.conversion import compress as module
from fcrn_mobile.conversion.compress import compress, misfit, plan_weights, pruning_threshold
from fcrn_mobile.conversion.recipe import Recipe, make_recipe
from fcrn_mobile.conversion.weights import Weight, read_weights
from fcrn_mobile.errors import InputError
from fcrn_mobile.quantize.scheme import Sparsity, parse_scheme
from tests.conversion.test_weights_edges import Builder, converted


def weight(
    shape: tuple[int, ...] = (4, 6, 1, 2), kind: str = "conv", groups: int = 1, values: Any = None, name: str = "w", ops: Any = ("y",)
) -> Weight:
    return Weight(name, tuple(ops), kind, shape, groups, "fp16", None, np.asarray(values) if values is not None else None, name)


def told(name: str, of: Weight, **options: Any) -> str | None:
    return misfit(parse_scheme(name, options), of)


GROUPED = {"granularity": "per_grouped_channel"}


@pytest.mark.parametrize(
    ("asked", "of", "reason"),
    [
        ({"name": "int8"}, weight(), None),
        ({"name": "int4", "block_size": 3}, weight(), None),
        ({"name": "int4", "block_size": 6}, weight(), None),
        (
            {"name": "int4", "block_size": 4},
            weight(),
            "int4 with blocks of 4 does not fit 'w', which has 6 input channels; block_size that fits: 1, 2, 3, 6",
        ),
        (
            {"name": "int4", "block_size": 32},
            weight((8, 1, 3, 3), groups=8),
            "int4 with blocks of 32 does not fit 'w', which has 1 input channel; block_size that fits: 1",
        ),
        (
            {"name": "int4", "block_size": 4},
            weight((6, 4, 1, 2), "conv_transpose"),
            "int4 with blocks of 4 does not fit 'w', which has 6 input channels; block_size that fits: 1, 2, 3, 6",
        ),
        (
            {"name": "int4", "block_size": 11},
            weight((4, 2520, 1, 1)),
            "int4 with blocks of 11 does not fit 'w', which has 2520 input channels; "
            "block_size that fits: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14",
        ),
        ({"name": "palette4", **GROUPED, "group_size": 2}, weight(), None),
        (
            {"name": "palette4", **GROUPED, "group_size": 3},
            weight(),
            "palette4 with groups of 3 does not fit 'w', which has 4 output channels; group_size that fits: 1, 2, 4",
        ),
        (
            {"name": "palette4", **GROUPED, "group_size": 8, "vector_size": 4},
            weight((12, 6, 1, 2)),
            "palette4 with groups of 8 does not fit 'w', which has 12 output channels; group_size that fits: 4, 12",
        ),
        (
            {"name": "palette4", **GROUPED, "group_size": 8},
            weight((1, 6, 1, 2)),
            "palette4 with groups of 8 does not fit 'w', which has 1 output channel; group_size that fits: 1",
        ),
        (
            {"name": "palette4", **GROUPED, "group_size": 8, "vector_size": 4},
            weight((6, 6, 1, 2)),
            "palette4 with groups of 8 does not fit 'w', which has 6 output channels; group_size that fits: none",
        ),
        ({"name": "palette4", "vector_size": 2}, weight(), None),
        ({"name": "palette4", "vector_size": 2}, weight(groups=2), None),
        (
            {"name": "palette4", "vector_size": 4},
            weight(groups=2),
            "palette4 with vectors of 4 does not fit 'w', which has 2 output channels per group; vector_size that fits: 1, 2",
        ),
        ({"name": "palette4", "vector_size": 4}, weight((6, 4, 1, 2), "conv_transpose", 2), None),
        ({"name": "sparse1:2"}, weight(), None),
        ({"name": "sparse1:3"}, weight(), None),
        (
            {"name": "sparse1:4"},
            weight(),
            "sparse1:4 with M = 4 does not fit 'w', which has 6 input channels; M that fits: 2, 3",
        ),
        (
            {"name": "sparse1:3", "sparse_axis": "output"},
            weight(),
            "sparse1:3 with M = 3 does not fit 'w', which has 4 output channels; M that fits: 2",
        ),
        (
            {"name": "sparse1:2"},
            weight((8, 1, 3, 3), groups=8),
            "sparse1:2 with M = 2 does not fit 'w', which has 1 input channel; M that fits: none",
        ),
        ({"name": "sparse1:2"}, weight((4, 6), "linear"), None),
        (
            {"name": "sparse1:2"},
            weight(kind="conv_transpose"),
            "sparse1:2 is for convolutions and linear layers, 'w' belongs to a conv_transpose",
        ),
        ({"name": "sparse", "threshold": 0.5}, weight(values=[-0.6, 0.1]), None),
        (
            {"name": "sparse", "threshold": 0.5},
            weight(values=[-0.5, 0.1]),
            "sparse leaves nothing of 'w': no magnitude is above 0.5",
        ),
        ({"name": "sparse"} | {"threshold": 0}, weight(values=[0.0, 0.0]), "sparse leaves nothing of 'w': no magnitude is above 0"),
        ({"name": "sparse50"}, weight(values=[1.0, 2.0]), None),
        ({"name": "sparse50"}, weight(values=[2.0, -2.0]), "sparse50 leaves nothing of 'w': no magnitude is above 2"),
    ],
)
def test_why_a_scheme_does_not_fit_and_what_would(asked: dict[str, Any], of: Weight, reason: str | None) -> None:
    options = dict(asked)
    assert told(options.pop("name"), of, **options) == reason


@pytest.mark.parametrize(
    ("sparsity", "threshold"),
    [
        (Sparsity(0.5), 2.0),
        (Sparsity(0.59), 2.0),
        (Sparsity(0.6), 3.0),
        (Sparsity(0.99), 4.0),
        (Sparsity(0.01), 1.0),
        (Sparsity(0.2), 1.0),
        (Sparsity(threshold=1.5), 1.5),
        (Sparsity(n_m=(1, 2)), 0.0),
    ],
)
def test_the_threshold_is_the_magnitude_that_its_share_reaches(sparsity: Sparsity, threshold: float) -> None:
    assert pruning_threshold(sparsity, weight(values=[-3.0, 1.0, 5.0, -2.0, 4.0])) == threshold


def test_what_is_compressed_has_no_values_to_prune() -> None:
    with pytest.raises(ValueError, match="'w' is compressed already"):
        pruning_threshold(Sparsity(0.5), weight())


def recipe(**values: Any) -> Recipe:
    return make_recipe({"precision": "int8", **values}, "test")


@pytest.mark.parametrize(("least", "expected"), [(47, "int8"), (48, "fp16"), (49, "fp16")])
def test_weights_of_as_many_elements_stay_float(least: int, expected: str) -> None:
    ((of, scheme),) = plan_weights([weight()], {"w", "y"}, recipe(min_elements=least))
    assert (of.name, scheme.name) == ("w", expected)


def test_floats_keep_their_own_name_however_small() -> None:
    ((_, scheme),) = plan_weights([weight((1, 1, 1, 1))], {"w", "y"}, recipe(precision="fp32"))
    assert scheme.name == "fp32"


def test_what_does_not_fit_takes_what_is_otherwise_said_or_is_refused() -> None:
    asked = recipe(precision="int4", block_size=4, min_elements=0)
    with pytest.raises(InputError, match=r"block_size that fits: 1, 2, 3, 6: change it, or say what such weights become"):
        plan_weights([weight()], {"w", "y"}, asked)
    plan = plan_weights(
        [weight(), weight((4, 8, 1, 1))], {"w", "y"}, recipe(precision="int4", block_size=4, otherwise="palette6", min_elements=0)
    )
    assert [scheme.kind for _, scheme in plan] == ["palette6", "int4"]


WEIGHTS = [weight(name="stem_weight", ops=("stem",)), weight(name="head_weight", ops=("head_cast_fp16",))]
NAMES = {"stem_weight", "stem", "head_weight", "head", "head_cast_fp16", "relu"}


@pytest.mark.parametrize("match", ["head_weight", "head", "head_cast_fp16", "head*", "?ead"])
def test_a_weight_is_called_by_all_its_names(match: str) -> None:
    plan = plan_weights(WEIGHTS, NAMES, recipe(min_elements=0, ops=[{"match": match, "precision": "palette4"}]))
    assert [(of.name, scheme.kind) for of, scheme in plan] == [("stem_weight", "int8"), ("head_weight", "palette4")]


@pytest.mark.parametrize(
    ("override", "refused"),
    [
        ({"match": "relu", "precision": "fp16"}, False),
        ({"match": "relu", "precision": "fp32"}, False),
        ({"match": "relu", "activations": "fp16"}, False),
        ({"match": "relu", "precision": "palette4"}, True),
        ({"match": "tail", "precision": "fp16"}, True),
        ({"match": ["head", "tail"], "precision": "palette4"}, True),
        ({"match": "HEAD", "precision": "palette4"}, True),
    ],
)
def test_a_pattern_has_to_match_and_compression_a_weight(override: dict[str, Any], refused: bool) -> None:
    activations = {"activations": "int8"} if "activations" in override else {}
    asked = recipe(min_elements=0, ops=[{"match": "stem", "precision": "int8"}, override], **activations)
    if refused:
        with pytest.raises(
            InputError, match=r"is no operator of this network: weights are called (stem|head)_weight, (stem|head)_weight, …"
        ):
            plan_weights(WEIGHTS, NAMES, asked)
    else:
        assert len(plan_weights(WEIGHTS, NAMES, asked)) == 2


def test_a_pattern_that_matches_nothing_is_answered_with_the_four_nearest_names() -> None:
    some = [weight(name=f"{letter}_weight") for letter in "abcdef"]
    with pytest.raises(InputError, match=r"weights are called (\w_weight, ){4}…$"):
        plan_weights(some, {"y"}, recipe(ops=[{"match": "a_wait", "precision": "palette4"}]))


@pytest.fixture(scope="module")
def two() -> Any:
    """A model of two pointwise convolutions, ``a`` and ``b``."""
    kernel = np.random.default_rng(0).normal(size=(16, 16, 1, 1)).astype(np.float32)

    def body(x: Any) -> Any:
        x = Builder.conv(x=x, weight=Builder.const(val=kernel, name="a_weight"), name="a")
        return Builder.conv(x=x, weight=Builder.const(val=-kernel, name="b_weight"), name="b")

    return converted(body, channels=16)


def test_joined_and_single_schemes_stand_side_by_side(two: Any) -> None:
    asked = recipe(precision="int8", min_elements=0, ops=[{"match": "b", "precision": "sparse50-int8"}])
    assert {each.name: each.stored for each in read_weights(compress(two, asked))[0]} == {"a_weight": "int8", "b_weight": "sparse-int8"}


def test_values_are_grouped_by_one_thread(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With several, k-means sums in an order that changes from run to run."""
    threads: set[int] = set()
    sound = module.changed
    monkeypatch.setattr(
        module, "changed", lambda *told: (threads.update(pool["num_threads"] for pool in threadpool_info()), sound(*told))[1]
    )
    compress(two, recipe(precision="palette4", min_elements=0))
    assert threads == {1}


def test_what_coremltools_left_as_it_was_is_an_error(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "changed", lambda model, *_: model)
    with pytest.raises(RuntimeError, match=r"stored 'a_weight' as fp32 with sparsity 0.00 instead of int8: report this"):
        compress(two, recipe(min_elements=0))


@pytest.mark.parametrize(("share", "stored"), [(0.25, None), (0.5, "sparse")])
def test_fewer_zeros_than_were_asked_for_are_an_error(share: float, stored: str | None, two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = pruning_threshold
    monkeypatch.setattr(module, "pruning_threshold", lambda _, of: sound(Sparsity(share), of))
    asked = recipe(precision="sparse50", min_elements=0)
    if stored:
        assert {each.stored for each in read_weights(compress(two, asked))[0]} == {stored}
    else:
        with pytest.raises(RuntimeError, match=r"stored 'a_weight' as sparse with sparsity 0.25 instead of sparse50: report this"):
            compress(two, asked)
