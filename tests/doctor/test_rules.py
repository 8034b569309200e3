"""Every rule finds what is planted, and nothing in the twin."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fcrn_mobile.doctor import engine, loading
from fcrn_mobile.doctor.diagnosis import diagnose
from fcrn_mobile.doctor.rules import GROUPS, SEVERITIES, rules
from fcrn_mobile.mil.graph import Graph, Tensor, Weight
from tests.doctor.plants import PLANTS

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


def test_units_are_missing_until_a_model_config_says_them(tmp_path: Path) -> None:
    path = PLANTS["simulator"].planted(tmp_path)
    assert "units-missing" in names(path)
    path.with_suffix(".toml").write_text('depth = "inverse"\n')
    assert "units-missing" not in names(path)
