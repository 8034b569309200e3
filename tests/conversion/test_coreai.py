import json
from pathlib import Path

import pytest

import fcrn_mobile
from fcrn_mobile.conversion.artefact import Conversion
from fcrn_mobile.conversion.coreai import describe
from fcrn_mobile.conversion.export import artefact_size, export
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.network.training_record import TrainingRecord
from tests.conversion.overwriting import check_kept_without_force
from tests.coreai import needs_coreai

pytestmark = needs_coreai


@pytest.fixture
def tiny(tiny_config) -> Checkpoint:
    return Checkpoint("tiny", FCRN(tiny_config).eval(), sha256="5a", training=TrainingRecord(data="rooms"))


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", "Float32"), ("fp16", "Float16")])
def test_the_asset_says_what_it_is(tiny: Checkpoint, precision: str, dtype: str, tmp_path: Path) -> None:
    from coreai.authoring import AIModelAsset

    out = tmp_path / "net.aimodel"
    export(tiny, Recipe(precision=precision, budget={"fidelity": "0.01"}), out)
    assert AIModelAsset.is_valid(out)
    asset = AIModelAsset.load(out)
    signature = asset.summary()
    assert signature.function_names == ["main"]
    assert signature.function_inputs("main") == [("image", f"NDArray ({dtype}, 1 × 3 × 64 × 96)")]
    assert signature.function_outputs("main") == [("depth", f"NDArray ({dtype}, 1 × 1 × 32 × 48)")]
    assert "metres" in asset.metadata.model_description
    assert asset.metadata.author
    assert asset.metadata.license
    added = json.loads((out / "metadata.json").read_text())["creatorDefinedMetadata"]
    assert added["fcrn_mobile.checkpoint_sha256"] == "5a"
    assert added["fcrn_mobile.training_data"] == "rooms"
    assert added["fcrn_mobile.version"] == fcrn_mobile.__version__
    # What the recipe says about Core ML is not true of this asset.
    assert json.loads(added["fcrn_mobile.recipe"]) == {
        "name": "fcrn",
        "precision": precision,
        "input_size": None,
        "form": "four",
        "budget": {"fidelity": "0.01"},
    }


def test_all_that_is_known_of_a_conversion_is_described(tiny: Checkpoint) -> None:
    conversion = Conversion.of(tiny, Recipe(precision="fp16"), coreml=False)
    told = describe(conversion).creator_defined_metadata
    assert conversion.metadata.items() < told.items()
    assert {told[name] for name in told.keys() - conversion.metadata.keys()} == {"RGB, 0..255"}


def test_fp16_is_half_of_fp32(tiny: Checkpoint, tmp_path: Path) -> None:
    sizes = {}
    for precision in ("fp32", "fp16"):
        export(tiny, Recipe(precision=precision), tmp_path / f"{precision}.aimodel")
        sizes[precision] = artefact_size(tmp_path / f"{precision}.aimodel")
    assert sizes["fp16"] / sizes["fp32"] == pytest.approx(0.5, abs=0.03)


def test_conversion_says_nothing_and_names_no_folder_of_this_machine(tiny: Checkpoint, tmp_path: Path, capfd) -> None:
    export(tiny, Recipe(), tmp_path / "net.aimodel")
    assert capfd.readouterr() == ("", "")
    program = (tmp_path / "net.aimodel" / "main.mlirb").read_bytes()
    for folder in (Path(fcrn_mobile.__file__).parent, tmp_path):
        assert str(folder).encode() not in program


def test_int8_is_refused_with_what_works(tiny: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'int8' is not available for \.aimodel: use --precision fp16 or fp32"):
        export(tiny, Recipe(precision="int8"), tmp_path / "net.aimodel")
    assert not any(tmp_path.iterdir())


def test_without_the_extra_one_line_says_how_to_get_it(tiny: Checkpoint, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("fcrn_mobile.conversion.coreai.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'fcrn-mobile\[coreai\]'") as refusal:
        export(tiny, Recipe(), tmp_path / "net.aimodel")
    assert "\n" not in str(refusal.value)
    assert not any(tmp_path.iterdir())


def test_an_existing_asset_is_kept_without_force(tiny: Checkpoint, tmp_path: Path) -> None:
    check_kept_without_force(tiny, Recipe(), tmp_path / "net.aimodel")
    assert sorted(path.name for path in (tmp_path / "net.aimodel").iterdir()) == ["main.hash", "main.mlirb", "metadata.json"]


@pytest.mark.parametrize(("step", "raised"), [("convert", InputError), ("describe", ZeroDivisionError)])
def test_a_failed_conversion_leaves_nothing(tiny: Checkpoint, step: str, raised: type, tmp_path: Path, monkeypatch, capfd) -> None:
    monkeypatch.setattr(f"fcrn_mobile.conversion.coreai.{step}", lambda *_: 1 / 0)
    with pytest.raises(raised):
        export(tiny, Recipe(), tmp_path / "net.aimodel")
    assert not any(tmp_path.iterdir())
    # The streams that were silenced are back.
    print("heard")
    assert capfd.readouterr().out == "heard\n"
