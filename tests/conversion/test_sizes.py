"""``input_sizes``: several picture sizes in one package, each compared with the network at that size."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fcrn_mobile.conversion.compress_package import compress_package, package_recipe
from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.float_package import open_float_package
from fcrn_mobile.conversion.recipe import Recipe, make_recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import Program
from fcrn_mobile.mil.summary import summarise
from fcrn_mobile.network.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.package.reading import read_specification
from fcrn_mobile.runtimes import open_runtime
from fcrn_mobile.validation.parting import first_parting
from tests.conftest import settled
from tests.journeys.command import refused

SIZES = ((64, 96), (96, 64), (64, 128))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, and packages of it of one size and of three."""
    path = tmp_path_factory.mktemp("sizes")
    network = settled(FCRN(preset("fcrn-plain", widths=(16, 16, 8, 8), input_size=SIZES[0])))
    with torch.no_grad():  # depth around 3 m
        network.head.weight /= 5 * network(torch.rand(1, 3, *SIZES[0])).std()
        network.head.bias.fill_(3.0)
    save_checkpoint(network, path / "net.safetensors")
    for name, values in (("one", {}), ("three", {"input_sizes": SIZES})):
        recipe = make_recipe({"precision": "int8", "name": name} | values, "test")
        export(load_checkpoint(str(path / "net.safetensors")), recipe, path / f"{name}.mlpackage", correct=False)
    return path


def test_one_set_of_weights_serves_all_sizes(folder: Path) -> None:
    weights = [next((folder / f"{name}.mlpackage").rglob("weight.bin")).read_bytes() for name in ("one", "three")]
    assert weights[0] == weights[1]
    (image,) = read_specification(folder / "three.mlpackage")[0].description.input
    assert [(size.height, size.width) for size in image.type.imageType.enumeratedSizes.sizes] == list(SIZES)
    recipe = json.loads(Program.load(folder / "three.mlpackage").metadata["fcrn_mobile.recipe"])
    assert recipe["input_sizes"] == [list(size) for size in SIZES]


@pytest.mark.parametrize("size", SIZES)
def test_each_size_gives_the_networks_depth(size: tuple[int, int], folder: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    with torch.no_grad():
        network = load_checkpoint(str(folder / "net.safetensors")).network
        expected = network(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)[0, 0].numpy()
    for model, tolerance in (("three.mlpackage", 0.02), ("net.safetensors", 1e-5)):
        runtime = open_runtime(str(folder / model), size=size)
        depth = runtime.predict(image)
        assert runtime.input_size == size
        assert depth.shape == expected.shape == (size[0] // 2, size[1] // 2)
        assert np.abs(depth - expected).mean() < tolerance * np.abs(expected).mean()
    # Another size than its own would have been stretched to the usual one.
    assert open_runtime(str(folder / "three.mlpackage")).predict(image).shape == (SIZES[0][0] // 2, SIZES[0][1] // 2)


def test_commands_take_a_size(folder: Path, call: Callable, tmp_path: Path) -> None:
    three, net = str(folder / "three.mlpackage"), str(folder / "net.safetensors")
    result = call("validate", net, three, "--data", "sample#val", "--size", "96x64", "--json", "v.json", "--budget", "fidelity=0.05")
    assert result.returncode == 0, result.stdout + result.stderr
    assert 0 < json.loads((tmp_path / "v.json").read_text())["candidates"][0]["fidelity"]["abs_rel"] < 0.05
    result = call("bench", three, "--size", "64x128", "--runs", "1")
    assert result.returncode == 0, result.stderr
    np.save(tmp_path / "x.npy", np.zeros((64, 96, 3), np.uint8))
    from PIL import Image

    Image.fromarray(np.zeros((50, 70, 3), np.uint8)).save(tmp_path / "x.png")
    result = call("run", three, "--input", "image=x.png", "--size", "64x128", "--out", "out")
    assert result.returncode == 0, result.stderr
    assert np.load(tmp_path / "out" / "depth.npy").shape == (32, 64)
    result = call("inspect", three)
    assert "image: RGB image 64×96 or 96×64 or 64×128. RGB photo, 64×96 or 96×64 or 64×128 pixels" in result.stdout
    alone = summarise(folder / "one.mlpackage")
    assert (alone.macs > 1e6, alone.counted_at) == (True, [])
    words = f"macs +{alone.macs / 1e6:.1f} M\\n +for image 64×96, the default of its sizes: others cost more or less"
    assert re.search(f"^{words}$", result.stdout, re.M)
    assert "without conv" not in result.stdout
    result = call("inspect", three, "--size", "64x128", "--estimate")
    assert "for image 64×128, one of its sizes" in result.stdout, result.stderr
    assert "flexible" not in result.stdout
    for words, said in (
        (["validate", net, three, "--data", "sample#val", "--size", "50x50"], ["50×50"]),
        (
            ["validate", net, str(folder / "one.mlpackage"), "--data", "sample#val", "--size", "96x64"],
            ["64×96, not the 96×64", "or --size"],
        ),
        (["bench", three, "--size", "wide"], ["--size is 'wide'", "such as 384x512"]),
        (["run", three, "--input", "image=x.png", "--size", "50x50", "--out", "no"], ["50×50", "64×96 or 96×64 or 64×128"]),
        (["doctor", three, "--size", "50x50"], ["takes image 64×96 or 96×64 or 64×128, not the 50×50 of --size"]),
        (["inspect", net, "--size", "64x96"], ["--size is of a Core ML model that takes several"]),
    ):
        refused(call(*words), *said)


def test_every_size_is_validated_in_turn(folder: Path, call: Callable, tmp_path: Path) -> None:
    three, net = str(folder / "three.mlpackage"), str(folder / "net.safetensors")
    words = ("validate", net, three, "--data", "sample#val", "--size")
    result = call(*words, "all", "--json", "all.json", "--budget", "fidelity=0.05")
    assert result.returncode == 0, result.stdout + result.stderr
    assert [line for line in result.stdout.splitlines() if line.startswith("pictures of")] == [f"pictures of {h}x{w}" for h, w in SIZES]
    results = json.loads((tmp_path / "all.json").read_text())["sizes"]
    assert [tuple(each["size"]) for each in results] == list(SIZES)
    assert call(*words, "96x64", "--json", "one.json").returncode == 0
    alone = json.loads((tmp_path / "one.json").read_text())["candidates"][0]["fidelity"]
    drifts = [each["candidates"][0]["fidelity"] for each in results]
    assert drifts[SIZES.index((96, 64))] == alone
    assert len({drift["abs_rel"] for drift in drifts}) == 3
    assert [each["reference"]["input_size"] for each in results] == [list(size) for size in SIZES]
    assert call(*words, "all", "--budget", "fidelity=0.0001").returncode == 1
    both = call(*words, "all", "--both", "--json", "both.json")
    assert both.stdout.count(f"{three}: float16 and ane ") == 3, both.stderr
    assert [list(each["partings"]) for each in json.loads((tmp_path / "both.json").read_text())["sizes"]] == [[three]] * 3
    with pytest.raises(InputError, match="50×50"):
        first_parting(Path(three), [], size=(50, 50))
    for more, said in ((["--html", "a.html"], "--html is of one size"), (["--junit", "a.xml"], "--junit is of one size")):
        refused(call(*words, "all", *more), said)
    refused(call("validate", net, str(folder / "one.mlpackage"), "--data", "sample#val", "--size", "all"), "take several sizes", "share 1")


def test_a_compressed_package_keeps_its_sizes(folder: Path, tmp_path: Path) -> None:
    recipe = Recipe(precision="fp16", input_sizes=SIZES)
    export(load_checkpoint(str(folder / "net.safetensors")), recipe, tmp_path / "three.mlpackage")
    package = open_float_package(tmp_path / "three.mlpackage")
    compress_package(package, package_recipe(package, make_recipe({"precision": "int8"}, "test")), tmp_path / "small.mlpackage")
    assert Program.load(tmp_path / "small.mlpackage").inputs[0].shapes.enumerated == SIZES
    with pytest.raises(InputError, match="input_sizes, which only an export can choose"):
        package_recipe(package, make_recipe({"precision": "int8", "input_sizes": [[64, 96], [32, 32]]}, "test"))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"input_sizes": [[64, 96]]}, "two different sizes or more"),
        ({"input_sizes": [[64, 96], [64, 96]]}, "two different sizes or more"),
        ({"input_sizes": [[64, 96], [8, 96]]}, r"input_sizes: input_size is \[8, 96\]"),
        ({"input_sizes": "all"}, r"such as \[\[224, 320\], \[320, 224\]\]"),
        ({"input_sizes": [[64, 96], [96, 64]], "input_size": [96, 64]}, "leave input_size out"),
    ],
    ids=str,
)
def test_sizes_that_mean_nothing_are_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        make_recipe(values, "test")


def test_a_size_at_which_the_traced_network_is_another_is_refused(tmp_path: Path) -> None:
    """The encoder pads by the size of the picture, which tracing fixes."""
    network = settled(FCRN(preset("fcrn-lite0", widths=(8, 8, 8, 8, 8), input_size=(64, 96))))
    recipe = Recipe(precision="fp32", input_sizes=((64, 96), (72, 104)))
    with pytest.raises(InputError, match=r"traced at 64×96, the network gives something else at 72×104: use sizes .* multiples of 32"):
        export(Checkpoint("net", network), recipe, tmp_path / "net.mlpackage")
    with pytest.raises(InputError, match=r"input_sizes, which only an \.mlpackage can have"):
        export(Checkpoint("net", network), Recipe(precision="fp32", input_sizes=SIZES), tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []
