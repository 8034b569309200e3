"""Final drift of replaced weights: trials that share a run against whole runs, one after the other."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import Program
from fcrn_mobile.validation.matching import match, plain_name, weight_name
from fcrn_mobile.validation.own_drift import find_outlier
from fcrn_mobile.validation.sensitivity import weight_drifts
from tests.validation.planted import Small, pictures, save_small

WEIGHTED = ("input_3", "var_30", "input_11_has_output_shape", "depth")


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Program:
    return Program.load(save_small(tmp_path_factory.mktemp("small"), "single", "FLOAT32"))


def coarse(program: Program, name: str, step: float) -> np.ndarray:
    """Weights of an operator, rounded to multiples."""
    operation = next(o for o in program.operations if o.name == name)
    return np.round(operation.arguments["weight"].numpy() / step) * step


@settings(max_examples=8, deadline=None)
@given(st.lists(st.sets(st.sampled_from(WEIGHTED), min_size=1), min_size=1, max_size=4), st.floats(0.01, 0.2))
def test_trials_that_share_a_run_equal_networks_changed_in_torch(program, chosen, step) -> None:
    """The other side is the network itself with altered weights, in torch."""
    images = pictures()
    layers = dict(zip(WEIGHTED, ("first", "second", "up", "head"), strict=True))
    replacements = [{name: {"weight": coarse(program, name, step)} for name in names} for names in chosen]
    found = weight_drifts(program, images, replacements)
    inputs = [torch.from_numpy(image).permute(2, 0, 1)[None].float() for image in images]
    with torch.no_grad():
        truths = [Small()(x) for x in inputs]
        for values, replacement in zip(found, replacements, strict=True):
            network = Small()
            for name, constants in replacement.items():
                getattr(network, layers[name]).weight.data = torch.from_numpy(constants["weight"]).contiguous()
            errors = [((network(x) - truth).abs() / truth).mean() for x, truth in zip(inputs, truths, strict=True)]
            assert values.abs_rel == pytest.approx(float(torch.stack(errors).mean()), rel=2e-3, abs=2e-7)


def test_unchanged_weights_do_not_drift_and_nan_stays_nan(program) -> None:
    kept = {"depth": {"weight": coarse(program, "depth", 1e-30)}}
    lost = {"var_30": {"bias": np.full(8, np.nan, np.float32)}}
    none, kept_drift, lost_drift = weight_drifts(program, pictures(), [{}, kept, lost])
    assert none.abs_rel == 0
    assert kept_drift.abs_rel == pytest.approx(0, abs=1e-6)
    assert np.isnan(lost_drift.abs_rel)


def test_wrong_replacements_are_named(program) -> None:
    weight = np.zeros((8, 8, 3, 3), np.float32)
    for replacement, words in [
        ({"nothing": {"weight": weight}}, "no operator 'nothing'"),
        ({"var_30": {"kernel": weight}}, "no constant tensor 'kernel'"),
        ({"var_30": {"weight": weight[:4]}}, "8×8×3×3, not 4×8×3×3"),
    ]:
        with pytest.raises(InputError, match=words):
            weight_drifts(program, pictures(), [replacement])
    with pytest.raises(InputError, match="no images"):
        weight_drifts(program, [], [{}])


def test_a_program_with_other_weights_leaves_the_first_one_as_it_was(program) -> None:
    image = {"image": pictures()[0]}
    before = program.predict(image)["depth"].copy()
    changed = program.with_constants({"depth": {"bias": np.array([12.0], np.float32)}})
    np.testing.assert_allclose(changed.predict(image)["depth"], before + 2, rtol=1e-5)
    np.testing.assert_array_equal(program.predict(image)["depth"], before)


def test_operators_are_matched_by_name_then_by_what_they_read(program, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("renamed")

    class Counted(Small):
        """The same network behind operators that count the names of later ones up, and are optimised away."""

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return super().forward(image * 1.0 + 0.0)

    other = Program.load(save_small(folder, "counted", "FLOAT16", network=Counted()))
    pairs = match(program, other)
    names = {other.operations[i].name: program.operations[p].name for i, p in pairs.items()}
    assert any(plain_name(ours) != theirs for ours, theirs in names.items()), "no name has changed: the test shows nothing"
    assert set(names.values()) == {o.name for o in program.operations}
    for i, p in pairs.items():
        assert weight_name(other.operations[i]) == weight_name(program.operations[p])
        assert other.operations[i].kind == program.operations[p].kind


@pytest.mark.parametrize(
    ("axis", "transposed", "side"), [(0, False, "output"), (1, False, "input"), (0, True, "input"), (1, True, "output")]
)
def test_an_outlier_channel_is_one_that_shares_its_scale(axis: int, transposed: bool, side: str) -> None:
    weight = torch.randn(16, 12, 3, 3, generator=torch.Generator().manual_seed(0))
    weight.select(axis, 7).mul_(100)
    scale = weight.abs().max() / 127
    found = find_outlier(weight, torch.round(weight / scale) * scale, transposed)
    assert found is not None
    assert (found.channel, found.axis, found.channels) == (7, side, weight.shape[axis])
    peaks = weight.abs().amax([a for a in range(4) if a != axis])
    assert found.ratio == pytest.approx(float(peaks[7] / peaks.sort().values[(len(peaks) - 1) // 2]))
    # Each slice with a scale of its own: nobody loses more than others.
    own = weight.abs().amax([a for a in range(4) if a != axis], keepdim=True) / 127
    assert find_outlier(weight, torch.round(weight / own) * own, transposed) is None
    # No outlier, whatever the scale.
    weight.select(axis, 7).div_(100)
    scale = weight.abs().max() / 127
    assert find_outlier(weight, torch.round(weight / scale) * scale, transposed) is None
