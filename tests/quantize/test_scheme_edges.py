"""Short names of schemes and their options, one by one, at the first and last value that is allowed."""

import itertools
import tomllib
from pathlib import Path
from typing import Any

import pytest

from fcrn_mobile.errors import InputError
from fcrn_mobile.quantize.scheme import (
    ACTIVATION_NAMES,
    LEARNED,
    MIN_ELEMENTS,
    TARGETS,
    Linear,
    Palette,
    Scheme,
    Sparsity,
    newest,
    parse_scheme,
)


def test_what_parts_are_unless_said_otherwise() -> None:
    assert Sparsity() == Sparsity(None, None, None, 1)
    assert Palette(4) == Palette(4, True, None, 1)
    assert Linear(8) == Linear(8, "per_channel", None, True)
    assert Scheme("x") == Scheme("x", None, None, None, 0, None)
    assert MIN_ELEMENTS == 512


def parsed(name: object, **options: Any) -> Scheme:
    return parse_scheme(name, options)


@pytest.mark.parametrize(
    ("name", "options", "sparsity", "palette", "linear"),
    [
        ("fp32", {}, None, None, None),
        ("fp16", {}, None, None, None),
        ("int8", {}, None, None, Linear(8, "per_channel", None, True)),
        ("int8", {"granularity": "per_tensor", "mode": "asymmetric"}, None, None, Linear(8, "per_tensor", None, False)),
        ("int8", {"granularity": "per_block"}, None, None, Linear(8, "per_block", 32, True)),
        ("int4", {}, None, None, Linear(4, "per_block", 32, True)),
        ("int4", {"block_size": 1}, None, None, Linear(4, "per_block", 1, True)),
        ("int4", {"block_size": 65536}, None, None, Linear(4, "per_block", 65536, True)),
        ("int4", {"granularity": "per_channel", "mode": "symmetric"}, None, None, Linear(4, "per_channel", None, True)),
        *((f"palette{bits}", {}, None, Palette(bits, True, None, 1), None) for bits in (1, 2, 3, 4, 6, 8)),
        ("palette4", {"mode": "uniform"}, None, Palette(4, False, None, 1), None),
        ("palette4", {"granularity": "per_grouped_channel"}, None, Palette(4, True, 32, 1), None),
        ("palette4", {"granularity": "per_grouped_channel", "group_size": 1}, None, Palette(4, True, 1, 1), None),
        ("palette4", {"granularity": "per_grouped_channel", "group_size": 65536}, None, Palette(4, True, 65536, 1), None),
        ("palette4", {"vector_size": 64}, None, Palette(4, True, None, 64), None),
        ("palette4", {"granularity": "per_grouped_channel", "group_size": 8, "vector_size": 4}, None, Palette(4, True, 8, 4), None),
        ("sparse1", {}, Sparsity(0.01), None, None),
        ("sparse50", {}, Sparsity(0.5), None, None),
        ("sparse99", {}, Sparsity(0.99), None, None),
        ("sparse1:2", {}, Sparsity(n_m=(1, 2), axis=1), None, None),
        ("sparse3:4", {"sparse_axis": "output"}, Sparsity(n_m=(3, 4), axis=0), None, None),
        ("sparse10:16", {"sparse_axis": "input"}, Sparsity(n_m=(10, 16), axis=1), None, None),
        ("sparse", {"threshold": 0}, Sparsity(threshold=0.0), None, None),
        ("sparse", {"threshold": 0.25}, Sparsity(threshold=0.25), None, None),
        ("sparse50-palette4", {}, Sparsity(0.5), Palette(4), None),
        ("sparse50-int8", {}, Sparsity(0.5), None, Linear(8)),
        ("palette4-int8", {}, None, Palette(4), Linear(8, "per_tensor")),
        ("palette6-int8", {}, None, Palette(6), Linear(8, "per_tensor")),
        ("sparse50-palette8-int8", {}, Sparsity(0.5), Palette(8), Linear(8, "per_tensor")),
    ],
)
def test_a_name_and_its_options_are_these_parts(name: str, options: dict[str, Any], sparsity: Any, palette: Any, linear: Any) -> None:
    scheme = parsed(name, **options)
    assert (scheme.sparsity, scheme.palette, scheme.linear) == (sparsity, palette, linear)
    assert (scheme.name, scheme.otherwise) == (name, None)
    assert scheme.min_elements == (0 if name.startswith("fp") else MIN_ELEMENTS)
    assert options == {**options}, "the caller's options are not used up"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        *(
            (name, {}, "use one of fp32")
            for name in ("", "int", "int16", "int2", "palette5", "palette7", "palette0", "sparse0", "sparse100")
        ),
        *(
            (name, {}, "use one of fp32")
            for name in ("int8-palette4", "palette4-sparse50", "int4int8", "-int8", "sparse50palette4", "INT8", 8)
        ),
        ("sparse2:2", {}, "N has to be less than M"),
        ("sparse3:2", {}, "N has to be less than M"),
        ("palette3-int8", {}, "tables of palette4, palette6 and palette8 may be int8"),
        ("palette4-int4", {}, "tables of palette4, palette6 and palette8 may be int8"),
        ("int8", {"block_size": 8}, "block_size means nothing here, with precision 'int8': it belongs to int8 and int4 with"),
        ("int4", {"block_size": 0}, "block_size is 0: give a whole number from 1 to 65536"),
        ("int4", {"block_size": 65537}, "block_size is 65537"),
        ("int4", {"block_size": True}, "block_size is True"),
        ("int4", {"block_size": 2.0}, "block_size is 2.0"),
        ("int8", {"granularity": "per_row"}, "granularity is 'per_row': use one of per_tensor, per_channel, per_block"),
        ("int8", {"mode": "kmeans"}, "mode is 'kmeans': use one of symmetric, asymmetric"),
        ("palette4", {"granularity": "per_channel"}, "use one of per_tensor, per_grouped_channel"),
        ("palette4", {"mode": "symmetric"}, "use one of kmeans, uniform"),
        ("palette4", {"group_size": 8}, "group_size means nothing here"),
        ("palette4", {"vector_size": 0}, "vector_size is 0: give a whole number from 1 to 64"),
        ("palette4", {"vector_size": 65}, "vector_size is 65"),
        ("palette4", {"granularity": "per_grouped_channel", "group_size": 0}, "group_size is 0: give a whole number from 1 to 65536"),
        ("palette4", {"granularity": "per_grouped_channel", "group_size": 65537}, "group_size is 65537"),
        ("palette4", {"granularity": "per_grouped_channel", "group_size": 8.0}, "group_size is 8.0"),
        ("palette4", {"vector_size": 2, "mode": "uniform"}, 'mode = "uniform" take no palette of vectors'),
        ("sparse50-palette4", {"vector_size": 2}, "sparse weights take no palette of vectors"),
        ("palette4", {"granularity": "per_grouped_channel", "group_size": 6, "vector_size": 4}, "it has to divide group_size, 6"),
        ("sparse", {}, "threshold is None: precision 'sparse' takes a number from 0"),
        ("sparse", {"threshold": -0.1}, "threshold is -0.1"),
        ("sparse", {"threshold": True}, "threshold is True"),
        ("sparse", {"threshold": float("inf")}, "threshold is inf"),
        ("sparse", {"threshold": "0.1"}, "threshold is '0.1'"),
        ("sparse50", {"threshold": 0.1}, "threshold means nothing here"),
        ("sparse50", {"sparse_axis": "input"}, "sparse_axis means nothing here"),
        ("sparse1:2", {"sparse_axis": "both"}, "sparse_axis is 'both': use one of output, input"),
        ("fp16", {"min_elements": 5}, "min_elements means nothing here"),
        ("int8", {"min_elements": -1}, "min_elements is -1"),
        ("int8", {"otherwise": "fp16"}, "otherwise means nothing here"),
        ("int4", {"otherwise": "int5"}, "otherwise: precision is 'int5'"),
    ],
)
def test_what_means_nothing_is_refused(name: object, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parsed(name, **options)


@pytest.mark.parametrize(
    ("name", "options", "oldest", "reason", "misfits"),
    [
        ("fp16", {}, "iOS16", "", False),
        ("int8", {}, "iOS16", "", False),
        ("int8", {"granularity": "per_tensor"}, "iOS16", "", False),
        ("int8", {"granularity": "per_block"}, "iOS18", "scales per block", True),
        ("int4", {"granularity": "per_channel"}, "iOS18", "4-bit integers", False),
        ("int4", {}, "iOS18", "4-bit integers", True),
        ("palette4", {}, "iOS16", "", False),
        ("palette3", {}, "iOS18", "3-bit palettes", False),
        ("palette4", {"granularity": "per_grouped_channel"}, "iOS18", "grouped channels", True),
        ("palette4", {"vector_size": 2}, "iOS18", "palettes of vectors", True),
        ("sparse50", {}, "iOS16", "", False),
        ("sparse2:4", {}, "iOS16", "", True),
        ("sparse50-palette4", {}, "iOS18", "joint compression", False),
        ("palette4-int8", {}, "iOS18", "joint compression", False),
    ],
)
def test_what_a_scheme_needs(name: str, options: dict[str, Any], oldest: str, reason: str, misfits: bool) -> None:
    scheme = parsed(name, **options)
    assert scheme.needs() == (oldest, reason)
    assert scheme.may_misfit() == misfits
    if misfits:
        other = parsed(name, **options, otherwise="palette6").otherwise
        assert other is not None
        assert (other.palette, other.min_elements) == (Palette(6), MIN_ELEMENTS)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("fp16", "fp16"),
        ("int4", "int4"),
        ("sparse50", "sparse"),
        ("sparse50-int8", "sparse-int8"),
        ("sparse9-palette4-int8", "sparse-palette4-int8"),
    ],
)
def test_a_kind_leaves_amounts_out(name: str, kind: str) -> None:
    assert parsed(name).kind == kind


@pytest.mark.parametrize("elements", [0, 1, 2**31])
def test_the_least_elements_are_as_said(elements: int) -> None:
    assert parsed("int8", min_elements=elements).min_elements == elements
    assert parse_scheme("int8", {}, elements).min_elements == elements
    with pytest.raises(InputError):
        parsed("int8", min_elements=2**31 + 1)


def test_the_newest_of_targets() -> None:
    assert newest([]) == "iOS16"
    for some in itertools.permutations(TARGETS, 2):
        assert newest(some) == max(some)


@pytest.mark.parametrize(
    ("name", "options", "blocks"),
    [
        ("int8", {}, (16, 1, 1, 1)),
        ("int8", {"granularity": "per_tensor"}, (1, 1, 1, 1)),
        ("int4", {"block_size": 8}, (16, 3, 1, 1)),
        ("int4", {"block_size": 32}, None),
        ("palette4", {}, (1, 1, 1, 1)),
        ("palette4", {"granularity": "per_grouped_channel", "group_size": 8}, (2, 1, 1, 1)),
        ("palette4", {"granularity": "per_grouped_channel", "group_size": 3}, None),
    ],
)
def test_what_shares_a_scale_or_a_table(name: str, options: dict[str, Any], blocks: tuple[int, ...] | None) -> None:
    assert parsed(name, **options).blocks((16, 24, 3, 5), (0, 1)) == blocks
    transposed = None if blocks is None else (blocks[1], blocks[0], 1, 1)
    assert parsed(name, **options).blocks((24, 16, 3, 5), (1, 0)) == transposed


@pytest.mark.parametrize("name", LEARNED)
def test_what_can_be_learned_is_a_grid_that_fits_every_weight(name: str) -> None:
    options = dict(LEARNED[name])
    precision = options.pop("precision")
    scheme = parse_scheme(ACTIVATION_NAMES.get(precision, precision), options)
    assert scheme.sparsity is None and (scheme.linear is None) != (scheme.palette is None), "integers or tables, nothing joined"
    assert scheme.linear is None or scheme.linear.symmetric
    assert scheme.palette is None or scheme.palette.vector_size == 1
    assert scheme.linear is None or not scheme.may_misfit() or scheme.otherwise is not None


@pytest.mark.parametrize("name", LEARNED)
def test_what_can_be_learned_has_the_blocks_of_the_shipped_recipe(name: str) -> None:
    recipe = tomllib.loads((Path(__file__).parents[2] / "export" / f"{name}.toml").read_text(encoding="utf-8"))
    keys = ("precision", "granularity", "block_size", "group_size", "otherwise")
    assert {key: recipe[key] for key in keys if key in recipe} == LEARNED[name]
