"""Whole networks, converted by coremltools, saved, and run from disk; torch and ONNX Runtime hold the other end.

Every network goes both ways that coremltools offers, but one: Depth Anything resizes its position embedding bicubically when it is
traced, and coremltools has no ``upsample_bicubic2d``; ``torch.export`` leaves that step out where the sizes agree.
"""

import copy
import io
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from fcrn_mobile.mil import Program
from fcrn_mobile.package.pymil import seldom_checked
from tests.conftest import psnr
from tests.mil.build import convert, ct, quiet_coremltools
from tests.mil.networks import NETWORKS, build

WAYS = [(name, way) for name in NETWORKS for way in ("trace", "export") if (name, way) != ("depth-anything", "trace")]
#: Networks whose one package has to run at several sizes. Coremltools refuses unet and segformer ("Unable to map torch_upsample_bilinear
#: to core upsample"): they interpolate to the size of another map.
FLEXIBLE = ("mobilenet-v3", "convnext", "unet-by-factor", "generator", "glpn")
#: Largest difference to torch, relative to the largest output.
TOLERANCE = 1e-3
#: PSNR of a half-precision package to torch, in dB, that is good enough whatever torch's own half precision reaches; and how much
#: less than that a network may have that magnifies rounding, as deep ones with random weights do.
GOOD_PSNR, SLACK = 45, 4


@pytest.fixture(autouse=True)
def _plain_attention():
    # torch's fused encoder path has no counterpart in coremltools.
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    """Built when first asked for."""

    class Built(dict[str, nn.Module]):
        def __missing__(self, name: str) -> nn.Module:
            self[name] = build(name)
            return self[name]

    return Built()


def image(name: str) -> torch.Tensor:
    return torch.rand(1, 3, *NETWORKS[name][1], generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Packages that several tests read: converting takes longer than running."""
    return tmp_path_factory.mktemp("packages")


def package(name: str, network: nn.Module, x: torch.Tensor, way: str, folder: Path, precision: str, target: str) -> Path:
    path = folder / f"{name}-{way}-{precision}-{target}.mlpackage"
    if path.exists():
        return path
    with quiet_coremltools(), seldom_checked(), torch.no_grad():
        if way == "trace":
            program = torch.jit.trace(network, x, check_trace=False)
            inputs = {"inputs": [ct.TensorType("x", shape=x.shape)]}
        else:
            program, inputs = torch.export.export(network, (x,)).run_decompositions({}), {}
        model = ct.convert(
            program,
            minimum_deployment_target=getattr(ct.target, target),
            compute_precision=getattr(ct.precision, precision),
            skip_model_load=True,
            **inputs,
        )
        model.save(str(path))
    return path


def run(path: Path, x: torch.Tensor, arithmetic: str) -> np.ndarray:
    program = Program.load(path, arithmetic)
    (output,) = program.predict({program.inputs[0].name: x.numpy()}).values()
    return output


def difference(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_a_single_precision_package_equals_torch(name, way, networks, folder) -> None:
    network, x = networks[name], image(name)
    with torch.no_grad():
        expected = network(x).numpy()
    actual = run(package(name, network, x, way, folder, "FLOAT32", "iOS17"), x, "float32")
    print(f"{name} ({way}): {difference(actual, expected):.1e}")
    assert actual.shape == expected.shape
    assert difference(actual, expected) < TOLERANCE


@pytest.mark.parametrize("name", [name for name, way in WAYS if way == "trace"])
@pytest.mark.parametrize("target", ["iOS15", "iOS18"])
def test_older_and_newer_operator_sets_give_the_same(name, target, networks, folder) -> None:
    network, x = networks[name], image(name)
    with torch.no_grad():
        expected = network(x).numpy()
    assert difference(run(package(name, network, x, "trace", folder, "FLOAT32", target), x, "float32"), expected) < TOLERANCE


@pytest.mark.parametrize("kind", ["range", "enumerated"])
@pytest.mark.parametrize("name", FLEXIBLE)
def test_one_package_runs_at_every_size_it_allows(name, kind, networks, tmp_path) -> None:
    network = networks[name]
    sizes = [NETWORKS[name][1], (32, 64), (96, 128)]  # multiples of 32, as GLPN itself asks for
    default = (1, 3, *sizes[0])
    if kind == "range":
        shape = ct.Shape(shape=(1, 3, *(ct.RangeDim(32, 128, default=length) for length in sizes[0])))
    else:
        shape = ct.EnumeratedShapes(shapes=[(1, 3, *size) for size in sizes], default=default)
    with torch.no_grad():
        path = convert(network, [torch.rand(default)], tmp_path, inputs=[ct.TensorType("x", shape=shape)])
    program = Program.load(path)
    for size in sizes:
        x = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(2))
        with torch.no_grad():
            expected = network(x).numpy()
        (actual,) = program.predict({"x": x.numpy()}).values()
        assert actual.shape == expected.shape
        assert difference(actual, expected) < TOLERANCE


@pytest.mark.parametrize("name", NETWORKS)
def test_half_precision_loses_no_more_than_torchs_own(name, networks, folder) -> None:
    network, x = networks[name], image(name)
    with torch.no_grad():
        expected = network(x).numpy()
        torchs = psnr(copy.deepcopy(network).half()(x.half()).float().numpy(), expected)
    path = package(name, network, x, "export" if name == "depth-anything" else "trace", folder, "FLOAT16", "iOS17")
    ours = psnr(run(path, x, "float16"), expected)
    print(f"{name}: {ours:.1f} dB in half precision, torch's own {torchs:.1f} dB")
    assert ours > min(GOOD_PSNR, torchs - SLACK)
    # The stored weights are rounded as well; wide arithmetic over them cannot be much worse.
    assert psnr(run(path, x, "float32"), expected) > min(GOOD_PSNR, torchs - SLACK)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_second_engine_agrees(name, networks, folder) -> None:
    network, x = networks[name], image(name)
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (x,), file, dynamo=False, input_names=["x"], opset_version=17)
    (theirs,) = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"]).run(None, {"x": x.numpy()})
    ours = run(package(name, network, x, "export" if name == "depth-anything" else "trace", folder, "FLOAT32", "iOS17"), x, "float32")
    print(f"{name}: MIL and ONNX Runtime differ by {difference(ours, theirs):.1e}")
    assert difference(ours, theirs) < TOLERANCE
