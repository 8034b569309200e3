import asyncio
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from fcrn_mobile.cli.main import main
from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint, save_checkpoint
from fcrn_mobile.network.decoders import DECODERS
from fcrn_mobile.network.deploy import deploy, taking_pixels
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.runtimes import open_runtime
from tests.conftest import psnr, settled
from tests.coreai import needs_coreai

pytestmark = needs_coreai

WIDTHS = (16, 8, 8, 8, 8)
#: Random weights magnify rounding: torch's own rewritten network is as far from the literal one.
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def network() -> FCRN:
    torch.manual_seed(0)
    network = settled(FCRN(preset("fcrn-lite0", widths=WIDTHS, input_size=(64, 96))))
    # Depths are positive; random weights give both signs, and relative errors near zero mean nothing.
    network.head.weight.data *= 0.1
    network.head.bias.data += 5
    return network


@pytest.fixture(scope="module")
def checkpoint(network: FCRN, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors"
    save_checkpoint(network, path)
    return path


@pytest.fixture(scope="module")
def assets(network: FCRN, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("assets")
    paths = {precision: folder / f"{precision}.aimodel" for precision in ("fp32", "fp16")}
    for precision, path in paths.items():
        export(Checkpoint("tiny", network, sha256="5a"), Recipe(precision=precision, budget={"fidelity": "0.05"}), path)
    return paths


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def expected_depth(network: FCRN, image: np.ndarray) -> np.ndarray:
    """The trained network's own forward pass; not rewritten for deployment."""
    with torch.no_grad():
        return network(torch.from_numpy(image).permute(2, 0, 1).unsqueeze(0) / 255)[0, 0].numpy()


def relative(candidate: np.ndarray, reference: np.ndarray) -> float:
    return float(np.abs(candidate - reference).max() / np.abs(reference).max())


@pytest.mark.parametrize("form", ["four", "fused"])
@pytest.mark.parametrize("decoder", DECODERS)
def test_a_float32_asset_equals_the_network_with_every_decoder(decoder: str, form: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = settled(FCRN(preset("fcrn-lite0", decoder=decoder, widths=WIDTHS, input_size=(61, 75))))
    export(Checkpoint("tiny", network), Recipe(precision="fp32", form=form), tmp_path / "net.aimodel")
    image = picture(61, 75)
    depth = open_runtime(str(tmp_path / "net.aimodel")).predict(image)
    assert depth.dtype == np.float32
    assert relative(depth, expected_depth(network, image)) < TOLERANCE


def test_a_residual_encoder_survives_too(tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = settled(FCRN(preset("fcrn-resnet18", widths=WIDTHS, input_size=(64, 64))))
    export(Checkpoint("resnet", network), Recipe(precision="fp32"), tmp_path / "net.aimodel")
    image = picture(64, 64)
    assert relative(open_runtime(str(tmp_path / "net.aimodel")).predict(image), expected_depth(network, image)) < TOLERANCE


def test_lateral_connections_survive_too(tmp_path: Path) -> None:
    torch.manual_seed(3)
    config = preset("fcrn-plain", decoder="upproj-bilinear", laterals="concat", widths=(16, 8, 8, 8), input_size=(61, 75))
    network = settled(FCRN(config))
    export(Checkpoint("lateral", network), Recipe(precision="fp32"), tmp_path / "net.aimodel")
    image = picture(61, 75)
    assert relative(open_runtime(str(tmp_path / "net.aimodel")).predict(image), expected_depth(network, image)) < TOLERANCE


def test_a_float16_asset_rounds_no_more_than_torch_in_half_precision(network: FCRN, assets) -> None:
    image = picture(64, 96)
    reference = expected_depth(network, image)
    half = taking_pixels(deploy(network)).half()
    with torch.no_grad():
        rounded = half(torch.from_numpy(image).permute(2, 0, 1).unsqueeze(0).half())[0, 0].float().numpy()
    depth = open_runtime(str(assets["fp16"])).predict(image)
    assert depth.dtype == np.float32
    print(f"Core AI {psnr(depth, reference):.1f} dB, torch {psnr(rounded, reference):.1f} dB")
    assert psnr(depth, reference) > psnr(rounded, reference) - 3
    # It does compute in half precision: the float32 asset is far closer.
    assert psnr(open_runtime(str(assets["fp32"])).predict(image), reference) > psnr(depth, reference) + 20


@pytest.mark.parametrize("size", [(97, 131), (480, 640)])
def test_images_of_any_size_are_fitted_as_in_the_other_runtimes(assets, checkpoint: Path, size: tuple[int, int]) -> None:
    image = picture(*size)
    depth = open_runtime(str(assets["fp32"])).predict(image)
    assert depth.shape == (32, 48)
    assert relative(depth, open_runtime(str(checkpoint)).predict(image)) < TOLERANCE


def test_the_runtime_says_what_it_runs_and_its_library_says_nothing(assets, capfd) -> None:
    runtime = open_runtime(str(assets["fp16"]))
    assert (runtime.name, runtime.backend, runtime.input_size, runtime.path) == ("fp16", "coreai", (64, 96), assets["fp16"])
    assert runtime.metadata["fcrn_mobile.checkpoint_sha256"] == "5a"
    runtime.predict(picture(64, 96))
    assert capfd.readouterr() == ("", "")


def test_a_notebook_with_its_own_event_loop_can_predict(assets) -> None:
    image = picture(64, 96)

    async def cell() -> np.ndarray:
        return open_runtime(str(assets["fp32"])).predict(image)

    np.testing.assert_array_equal(asyncio.run(cell()), open_runtime(str(assets["fp32"])).predict(image))


def test_a_damaged_asset_is_one_clear_line(assets, tmp_path: Path) -> None:
    def damaged(name: str) -> Path:
        return Path(shutil.copytree(assets["fp16"], tmp_path / f"{name}.aimodel"))

    text = tmp_path / "text.aimodel"
    text.write_text("hello")
    short = damaged("short")
    with (short / "main.mlirb").open("r+b") as file:
        file.truncate(1000)
    incomplete = damaged("incomplete")
    (incomplete / "main.mlirb").unlink()
    garbled = damaged("garbled")
    (garbled / "metadata.json").write_text("{")
    foreign = damaged("foreign")
    metadata = json.loads((foreign / "metadata.json").read_text())
    del metadata["creatorDefinedMetadata"]
    (foreign / "metadata.json").write_text(json.dumps(metadata))
    for path, message in [
        (text, "is not an asset"),
        (short, "is damaged"),
        (incomplete, "is not an asset"),
        (garbled, "is not an asset that Core AI reads"),
        (foreign, "does not say which pixels it maps to depth"),
        (tmp_path / "none.aimodel", "no model at"),
    ]:
        with pytest.raises(InputError, match=message) as refusal:
            open_runtime(str(path))
        assert "\n" not in str(refusal.value)


def test_the_backend_takes_assets_only(checkpoint: Path, assets) -> None:
    with pytest.raises(InputError, match=r"backend 'coreai' runs \.aimodel files"):
        open_runtime(str(checkpoint), "coreai")
    with pytest.raises(InputError, match=r"backend 'mil' runs \.mlpackage files"):
        open_runtime(str(assets["fp16"]), "mil")


def command(*words: str) -> str:
    result = CliRunner().invoke(main, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_every_command_takes_an_asset_like_any_candidate(checkpoint: Path, tmp_path: Path) -> None:
    asset = str(tmp_path / "net.aimodel")
    exported = command("export", str(checkpoint), "--precision", "fp16", "--out", asset)
    assert "iOS" not in exported
    inspected = command("inspect", asset)
    for word in ("image: NDArray (Float16, 1 × 3 × 64 × 96)", "depth: NDArray (Float16, 1 × 1 × 32 × 48)", "MB", "fcrn_mobile.recipe"):
        assert word in inspected
    validated = json.loads(command("validate", str(checkpoint), asset, "--data", "sample#val", "--budget", "fidelity=0.1", "--json", "-"))
    (candidate,) = validated["candidates"]
    assert candidate["verdict"] == "held"
    assert 40 < candidate["fidelity"]["psnr_db"] < 100
    assert "abs_rel" in command("evaluate", asset, "--data", "sample#val")
    (timing,) = json.loads(command("bench", asset, "--runs", "2", "--json", "-"))["results"]
    assert (timing["backend"], timing["compute_units"]) == ("coreai", "cpuOnly")
    image = tmp_path / "photo.png"
    Image.fromarray(picture(48, 64)).save(image)
    command("predict", asset, str(image), "--out", str(tmp_path / "out"))
    assert (tmp_path / "out" / "photo.depth.png").is_file()
