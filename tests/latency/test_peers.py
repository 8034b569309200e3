import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import peer_networks
import peers
import pytest
import torch

from fcrn_mobile.data import open_source
from fcrn_mobile.data.images import fit
from fcrn_mobile.data.transforms import image_tensor
from fcrn_mobile.errors import InputError
from fcrn_mobile.latency import stages
from fcrn_mobile.latency.latency import Latency, summarise
from fcrn_mobile.latency.stability import WarmUp
from fcrn_mobile.latency.worker import Open, Opened
from fcrn_mobile.network.checkpoints import load_checkpoint, save_checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.runtimes import open_runtime
from fcrn_mobile.runtimes.torch_runtime import TorchRuntime
from fcrn_mobile.validation.attribution import spread
from tests.conftest import settled

TINY = preset("fcrn-resnet18", widths=(16, 8, 8, 8, 8), input_size=(64, 96))
EAGER, COMPILED, ONNX, INT8, OPENVINO, COREAI = peer_networks.ENGINES


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    return spread(open_source("sample"), 3)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, images: list[np.ndarray]) -> str:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    peer_networks.random_checkpoint(TINY, images, path)
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("peers")


def test_a_random_network_has_lively_activations(model: str, images: list[np.ndarray]) -> None:
    network = load_checkpoint(model).network
    spreads = []
    for module in network.decoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_hook(lambda _module, _inputs, output: spreads.append(float(output.std())))
    open_runtime(model).predict(images[0])
    with torch.no_grad():
        network(torch.rand(1, 3, 64, 96))
    assert spreads
    assert all(0.02 < value < 50 for value in spreads)


@pytest.mark.parametrize("engine", [EAGER, ONNX, OPENVINO, COREAI], ids=lambda engine: engine.name)
@pytest.mark.parametrize("form", peer_networks.FORMS)
def test_both_forms_in_every_engine_are_the_float_network(
    engine: peer_networks.Engine, form: str, model: str, folder: Path, images: list[np.ndarray]
) -> None:
    try:
        path = peer_networks.build(model, engine, form, folder, images)
    except InputError as error:
        pytest.skip(str(error))
    runtime = peer_networks.opener(path, engine, form, None)()
    # The float network as it was trained, from its own class.
    network = FCRN(load_checkpoint(model).network.config, form="literal")
    network.load_state_dict(load_checkpoint(model).network.state_dict())
    with torch.no_grad():
        expected = network.eval()(image_tensor(fit(images[0], (64, 96))).unsqueeze(0))[0, 0].numpy()
    assert peer_networks.difference(runtime, [expected], [images[0]]) < 1e-4


def test_the_literal_onnx_model_unpools_and_ours_does_not(model: str, folder: Path, images: list[np.ndarray]) -> None:
    import onnx

    kernels = {}
    for form in peer_networks.FORMS:
        graph = onnx.load(peer_networks.build(model, ONNX, form, folder, images)).graph
        kernels[form] = {tuple(value.dims[2:]) for value in graph.initializer if len(value.dims) == 4}
        # Simplifying folds them in both.
        assert not [node for node in graph.node if node.op_type == "BatchNormalization"]
    assert (5, 5) in kernels["literal"]
    assert {(2, 2), (2, 3), (3, 2)} <= kernels["ours"]
    assert not {(2, 2), (2, 3), (3, 2)} & kernels["literal"]


def test_the_quantized_model_computes_in_int8_and_stays_near(model: str, folder: Path, images: list[np.ndarray]) -> None:
    import onnx

    path = peer_networks.build(model, INT8, "ours", folder, images)
    weights = [value for value in onnx.load(path).graph.initializer if len(value.dims) == 4 and value.dims[0] > 1]
    assert {value.data_type for value in weights} == {onnx.TensorProto.INT8}
    expected = [open_runtime(model).predict(image) for image in images]
    assert 1e-4 < peer_networks.difference(open_runtime(path), expected, images) < 0.8
    assert [file.name for file in folder.glob("prepared*")] == []


class Zeros(TorchRuntime):
    """An engine that gives the wrong result."""

    def predict(self, image: np.ndarray) -> np.ndarray:
        return np.zeros_like(super().predict(image))


def in_this_process(
    models: Sequence[Open], rounds: int, launches: int, end_to_end: bool, slow_ms: float, on_round: Callable[[int, int], None]
) -> tuple[list[Latency], np.ndarray]:
    """What ``compare.in_turns`` does, without processes: their start would take a minute."""
    figures = []
    before = torch.get_num_threads()
    for model in models:
        runtime = model()
        once = stages.end_to_end(runtime, stages.sample_photo()) if end_to_end else stages.model_only(runtime)
        opened = Opened(runtime.name, runtime.backend, {}, "cpuOnly", None, 1.0)
        figures.append(summarise(opened, WarmUp(1.0, 10, True), [once() for _ in range(rounds * launches)], 1))
        torch.set_num_threads(before)
    on_round(1, 1)
    return figures, np.stack([np.reshape(figure.samples_ms, (launches, rounds)) for figure in figures])


def test_an_engine_that_is_missing_or_wrong_is_named_in_the_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.manual_seed(0)
    small, trained = preset("fcrn-lite0", widths=(16, 8, 8, 8, 8), input_size=(64, 96)), tmp_path / "trained.safetensors"
    save_checkpoint(settled(FCRN(small)), trained)
    # What a machine without OpenVINO has, and an engine that computes something else.
    monkeypatch.setitem(sys.modules, "openvino", None)
    wrong = peer_networks.Engine("wrong", "torch")
    monkeypatch.setattr(peers, "ENGINES", (EAGER, wrong, OPENVINO))
    real = peers.opener
    monkeypatch.setattr(peers, "opener", lambda p, engine, f, t: (lambda: Zeros(p)) if engine is wrong else real(p, engine, f, t))
    monkeypatch.setattr(peers, "in_turns", in_this_process)
    monkeypatch.setattr(peers, "THREADS", 1)
    result = peers.measure(small, str(trained), launches=2, rounds=2)
    assert [table["end_to_end"] for table in result["tables"]] == [False, False, True]
    for table in result["tables"]:
        eager, zeros, openvino = table["rows"]
        assert openvino["missing"] == "missing: backend 'openvino' is not installed: pip install 'fcrn-mobile[openvino]'"
        assert zeros["missing"] == "not timed: its output differs by 1 from the float network's"
        assert eager["missing"] is None
        assert eager["literal"]["backend"] == "torch-literal"
        assert eager["ours"]["backend"] == "torch"
        assert table["best"]["engine"] == "torch eager"
        assert eager["literal_over_best"]["pairs"] == 4
    assert result["tables"][0]["rows"][0]["ours"]["threads"] == 1
    assert result["tables"][1]["rows"][0]["ours"]["threads"] is None
    assert {"decode", "colour"} <= result["tables"][2]["rows"][0]["ours"]["stages_ms"].keys()
    lines = peers.show(result)
    assert sum(line.startswith("| OpenVINO fp32 | missing: ") for line in lines) == 3
    assert any("images per second, at least 30: " in line for line in lines)
    assert "not on a device" in lines[-1]


def test_the_trained_network_alone_leaves_the_tables_of_an_earlier_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.manual_seed(0)
    trained = tmp_path / "trained.safetensors"
    save_checkpoint(settled(FCRN(preset("fcrn-lite0", widths=(16, 8, 8, 8, 8), input_size=(64, 96)))), trained)
    monkeypatch.setattr(peers, "ENGINES", (EAGER,))
    monkeypatch.setattr(peers, "in_turns", in_this_process)
    result = peers.measure(None, str(trained), launches=2, rounds=2)
    assert [table["end_to_end"] for table in result["tables"]] == [True]
    earlier = [
        {"end_to_end": False, "threads": 1},
        {"end_to_end": False, "threads": 2, "machine": "first"},
        {"end_to_end": True, "threads": 3},
    ]
    tables = peers.completed(result, {"tables": earlier, "launches": 9, "machine": "second"})["tables"]
    assert tables[0] == {"end_to_end": False, "threads": 1, "launches": 9, "machine": "second"}
    assert tables[1]["machine"] == "first"
    assert tables[2:] == result["tables"]


def test_a_bound_that_is_broken_says_so() -> None:
    peer = {"ratio": 0.5, "low": 0.4, "high": 0.6, "difference_shown": True}
    figure = {"median_ms": 50.0, "fps": 20.0, "difference": 0.0}
    row = {"engine": "e", "missing": None, "literal": figure, "ours": figure, "literal_over_ours": peer, "literal_over_best": peer}
    best = {"engine": "e", "median_ms": 50.0, "fps": 20.0}
    table = {"network": "n", "threads": {"literal": None, "ours": 2}, "end_to_end": True, "best": best, "rows": [row], "warnings": ["w"]}
    text = "\n".join(
        peers.show({"tables": [table], "launches": 2, "least_fps": 30.0, "machine": {"processor": "p", "cores": 2, "load_1min": 0.0}})
    )
    assert "20.0 images per second, at least 30: BROKEN" in text
    assert "is faster: e, BROKEN" in text
    assert "0.50 (0.40 to 0.60)" in text
    assert "2 launches are too few for an interval" in text
