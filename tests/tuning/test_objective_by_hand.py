"""What the search minimises, on a network of one weight whose cost can be worked out by hand."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from fcrn_mobile.conversion.weights import Weight
from fcrn_mobile.latency.constants import FITTED
from fcrn_mobile.latency.work import Work
from fcrn_mobile.tuning.candidates import CANDIDATES, Candidate
from fcrn_mobile.tuning.measured import Sensitivities
from fcrn_mobile.tuning.objective import estimated_latency, mean_bits, options
from fcrn_mobile.tuning.variants import Variant, Variants

INT8 = Candidate("int8", "int8")
#: A million weights and few multiplications: reading them is what takes time. The other operator has no weights.
ELEMENTS, OTHER = 1_000_000, Work(macs=2e8, weight_bytes=0, activation_bytes=1e6)
BYTES = {"fp16": 2 * ELEMENTS, "int8": ELEMENTS + 2000}


def stored(name: str) -> dict[str, Variant]:
    return {"w": Variant(torch.zeros(1000, 1000, 1, 1), BYTES[name], (Work(1e6, BYTES[name], 1e4),))}


@pytest.fixture
def variants() -> Variants:
    nothing: Any = None
    works = (OTHER, *stored("fp16")["w"].works)
    return Variants(nothing, nothing, nothing, {"w": ("op",)}, {"w": ("op",)}, {name: stored(name) for name in BYTES}, works)


def milliseconds(weight_bytes: int) -> float:
    """Of the network, mean over chips: floor, two operators, each the longer of computing and moving; no activation exceeds 1 MB."""
    times = []
    for fit in json.loads(FITTED.read_text())["chips"].values():
        chip = fit["constants"]
        moved = [
            weights / 1e6 * chip["weight_ms_per_mb"] + activations / 1e6 * chip["activation_ms_per_mb"]
            for weights, activations in ((0, 1e6), (weight_bytes, 1e4))
        ]
        # The other operator has no weights: it multiplies activations.
        each = max(0.2 * chip["product_ms_per_gmac"], moved[0]), max(1e-3 * chip["ms_per_gmac"], moved[1])
        times.append(chip["floor_ms"] + 2 * chip["operator_ms"] + sum(each))
    return float(np.mean(times))


@pytest.mark.parametrize("name", ["fp16", "int8"])
def test_the_estimated_latency_is_that_of_the_choice(name: str, variants: Variants) -> None:
    assert estimated_latency(variants, {"w": name}) == pytest.approx(milliseconds(BYTES[name]), rel=1e-6)
    assert milliseconds(BYTES["int8"]) < 0.99 * milliseconds(BYTES["fp16"]), "the choice can be told from the estimate"


def test_each_objective_costs_an_option_in_its_own_unit(variants: Variants, tmp_path) -> None:
    measured = Sensitivities(tmp_path / "s.json", {}, {"int8": {"*": [0.1], "w": [0.3, 0.4]}})
    expected = {
        "size": (2_000_000, 1_002_000),
        "bits": (16, 8),
        "latency-estimate": tuple(milliseconds(BYTES[name]) - milliseconds(0) for name in ("fp16", "int8")),
    }
    for objective, costs in expected.items():
        (row,) = options(variants, [INT8], measured, objective).values()
        assert [option.name for option in row] == ["fp16", "int8"]
        if objective == "latency-estimate":
            # Without the part that does not depend on the choice.
            assert row[0].cost - row[1].cost == pytest.approx(costs[0] - costs[1], rel=1e-3)
        else:
            assert [option.cost for option in row] == pytest.approx(costs)
        assert [option.noise for option in row] == pytest.approx([0, (0.3**2 + 0.4**2) / 2])
    assert mean_bits(variants, [INT8], {"w": "int8"}) == 8


@pytest.mark.parametrize(
    ("shape", "fitting"),
    [
        # 64 tables of 16 half-precision values, for 512 rows of 9: 64·16·16 bits, 512·9·12 bits saved. Of 64 values: 32·64·16 for 512·9·10.
        ((512, 1, 3, 3), {"palette6/16", "palette4/8", "palette3/8"}),
        # For rows of one, 64 tables of eight values take 64·8·16 bits and save 512·13.
        ((512, 1, 1, 1), set()),
        ((512, 3, 1, 1), {"palette4/8", "palette3/8"}),
        ((512, 64, 1, 1), {"palette6/16", "palette4/8", "palette3/8", "int4/32"}),
    ],
)
def test_tables_that_are_larger_than_what_they_save_fit_no_weight(shape: tuple[int, ...], fitting: set[str]) -> None:
    groups = shape[0] if shape[1] == 1 else 1
    weight = Weight("w", ("op",), "conv", shape, groups, "fp16", None, np.zeros(shape, np.float16), "w")
    assert {candidate.name for candidate in CANDIDATES if candidate.fits(weight)} == fitting | {"int8"}
