import hashlib
import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import load_checkpoint, save_checkpoint
from fcrn_mobile.network.foreign_pickle import read_torch_file
from fcrn_mobile.network.importers import TORCH_FORMATS, Imported, import_network
from fcrn_mobile.network.training_record import TrainingRecord
from tests.foreign import HOSTILE, MODULE, Touch, foreign_network

RESNET50 = {"repeats": (3, 4, 6, 3), "expansion": 4}


def equal(imported: Imported, foreign: nn.Module) -> None:
    """Both give the same depth before the foreign network's last enlargement, in double precision, and it is not constant."""
    image = torch.rand(1, 3, 228, 304, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        ours, theirs = imported.network.double()(image), foreign.double().before_bilinear(image)
    assert theirs.std() > 1e-2
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def saved(state: object, zipped: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


@pytest.mark.parametrize(("layout", "name"), TORCH_FORMATS.items())
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
def test_a_pickled_network_of_absent_classes_computes_the_same(layout: str, name: str, zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "model_best.pth.tar"
    foreign = foreign_network(path, name, zipped=zipped)
    with pytest.raises(ModuleNotFoundError, match=MODULE):
        torch.load(path, weights_only=False)
    imported = import_network(path)
    equal(imported, foreign)
    assert imported.training == TrainingRecord(imported_from=layout, file=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert imported.network.config.mean == (0, 0, 0)
    assert imported.network.config.std == (1, 1, 1)


@pytest.mark.parametrize("kind", ["upconv", "deconv2", "deconv3"])
def test_the_other_up_blocks_compute_the_same(kind: str, tmp_path: Path) -> None:
    foreign = foreign_network(tmp_path / "model.pth", "decoder", kind)
    imported = import_network(tmp_path / "model.pth")
    assert imported.network.config.decoder == kind
    equal(imported, foreign)


def test_resnet50_computes_the_same_and_stays_so_as_a_checkpoint(tmp_path: Path) -> None:
    foreign = foreign_network(tmp_path / "model.pth", "upSample", **RESNET50)
    imported = import_network(tmp_path / "model.pth")
    assert imported.network.config.encoder == "resnet50"
    save_checkpoint(imported.network, tmp_path / "ours.safetensors", imported.training)
    loaded = load_checkpoint(str(tmp_path / "ours.safetensors"))
    assert loaded.training == imported.training
    equal(Imported(loaded.network, {}), foreign)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
@pytest.mark.parametrize("within", [None, "model", "state_dict"])
def test_state_dicts_compute_the_same(prefix: str, zipped: bool, within: str | None, tmp_path: Path) -> None:
    foreign = foreign_network(tmp_path / "model.pth", "upSample")
    state = OrderedDict((prefix + key, value) for key, value in foreign.state_dict().items())
    torch.save({within: state, "epoch": 3} if within else state, tmp_path / "state.pth", _use_new_zipfile_serialization=zipped)
    equal(import_network(tmp_path / "state.pth"), foreign)


def test_files_from_before_batches_were_counted_are_read(tmp_path: Path) -> None:
    foreign = foreign_network(tmp_path / "model.pth", "upSample")
    state = {key: value for key, value in foreign.state_dict().items() if "num_batches" not in key}
    torch.save(state, tmp_path / "state.pth")
    equal(import_network(tmp_path / "state.pth"), foreign)


def test_a_prediction_with_bias_keeps_it(tmp_path: Path) -> None:
    foreign = foreign_network(tmp_path / "model.pth", "upSample")
    foreign.conv3.bias = nn.Parameter(torch.tensor([2.5]))
    torch.save(foreign.state_dict(), tmp_path / "state.pth")
    equal(import_network(tmp_path / "state.pth"), foreign)


def test_half_precision_and_shared_storages_are_read(tmp_path: Path) -> None:
    state = foreign_network(tmp_path / "model.pth", "upSample").state_dict()
    block = torch.stack((state["bn2.weight"], state["bn2.bias"]), dim=1)
    state = {key: value.half() if value.dim() == 4 else value for key, value in state.items()}
    state["bn2.weight"], state["bn2.bias"] = block.unbind(1)
    torch.save(state, tmp_path / "state.pth")
    network = import_network(tmp_path / "state.pth").network
    assert torch.equal(network.bn.bias, block[:, 1])
    assert torch.equal(network.conv.weight, state["conv2.weight"].float())


def test_the_size_it_was_trained_at_is_read_from_its_last_enlargement(tmp_path: Path) -> None:
    foreign_network(tmp_path / "kitti.pth", "upSample", size=(228, 912))
    assert import_network(tmp_path / "kitti.pth").network.config.input_size == (228, 912)
    torch.save(foreign_network(tmp_path / "nyu.pth", "upSample").state_dict(), tmp_path / "state.pth")
    assert import_network(tmp_path / "state.pth").network.config.input_size == (228, 304)


def test_weights_saved_on_a_gpu_are_read(tmp_path: Path) -> None:
    cpu = saved({"weight": torch.arange(6.0)}, True)
    path = tmp_path / "gpu.pth"
    with zipfile.ZipFile(io.BytesIO(cpu)) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("data.pkl"):
                assert b"ctorch\nFloatStorage" in content
                content = content.replace(b"ctorch\nFloat", b"ctorch.cuda\nFloat").replace(b"X\3\0\0\0cpu", b"X\6\0\0\0cuda:0")
            target.writestr(name, content)
    with pytest.raises(RuntimeError, match="CUDA"):
        torch.load(path, weights_only=True)
    assert torch.equal(read_torch_file(path).groups[0].tensors["weight"], torch.arange(6.0))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
def test_code_in_a_file_does_not_run(zipped: bool, tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    foreign = foreign_network(tmp_path / "model.pth", "upSample")
    content = {"model": foreign.state_dict(), "optimizer": Touch(mark)}
    torch.save(content, tmp_path / "bad.pth", _use_new_zipfile_serialization=zipped)
    equal(import_network(tmp_path / "bad.pth"), foreign)
    assert not mark.exists()
    torch.load(tmp_path / "bad.pth", weights_only=False)
    assert mark.exists(), "the file would not have run anything"


@pytest.mark.parametrize(
    "program",
    [
        *HOSTILE,
        b"\x80\x04\x8c\x0ctorch._utils\x94\x8c\x17_rebuild_tensor_v2.view\x94\x93.",
        # BUILD with a slot state sets attributes of what stands below it: here, of the classes handed out.
        b"ctorch._utils\n_rebuild_tensor_v2\n(N(dVview\nVreplaced\nstb.",
        b"ccollections\nOrderedDict\n(N(dVitems\nVreplaced\nstb.",
        b"ctorch\nFloatStorage\n(N(dVitemsize\nI0\nstb.",
    ],
)
def test_hand_written_pickles_reach_nothing(program: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    foreign = tmp_path / "bad.pth"
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("archive/data.pkl", program)
    with pytest.raises(InputError, match=r"bad\.pth"):
        read_torch_file(foreign)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.pth"]
    torch.save({"weight": torch.ones(2)}, tmp_path / "good.pth")
    assert torch.equal(read_torch_file(tmp_path / "good.pth").groups[0].tensors["weight"], torch.ones(2))


@settings(max_examples=60, deadline=None)
@given(zipped=st.booleans(), share=st.floats(0, 0.999))
def test_truncated_files_are_refused(tmp_path_factory: pytest.TempPathFactory, zipped: bool, share: float) -> None:
    whole = saved({"weight": torch.rand(4, 3), "bias": torch.rand(4)}, zipped)
    path = tmp_path_factory.mktemp("cut") / "cut.pth"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=r"cut\.pth"):
        read_torch_file(path)


@settings(max_examples=40, deadline=None)
@given(shape=st.lists(st.integers(1, 4), max_size=4), zipped=st.booleans(), seed=st.integers(0, 99))
def test_views_of_any_stride_are_read_as_torch_reads_them(
    tmp_path_factory: pytest.TempPathFactory, shape: list[int], zipped: bool, seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(len(shape)).tolist()
    value = torch.rand(3, *shape)[1:].permute(0, *(axis + 1 for axis in order))[1]
    path = tmp_path_factory.mktemp("views") / "view.pth"
    path.write_bytes(saved({"weight": value}, zipped))
    assert torch.equal(read_torch_file(path).groups[0].tensors["weight"], value)


def test_tensors_beyond_their_storage_are_refused(tmp_path: Path) -> None:
    value = torch.rand(4)
    whole = saved({"weight": value}, True)
    # BININT1 4 is the length, written for the storage and for the shape.
    path = tmp_path / "beyond.pth"
    with zipfile.ZipFile(io.BytesIO(whole)) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content.replace(b"K\x04", b"K\xff") if name.endswith("data.pkl") else content)
    with pytest.raises(InputError, match=r"beyond\.pth"):
        read_torch_file(path)


def test_keys_that_do_not_fit_are_listed_and_counted(tmp_path: Path) -> None:
    state = foreign_network(tmp_path / "model.pth", "decoder").state_dict()
    path = tmp_path / "odd.pth"
    del state["conv3.weight"]
    state |= {f"extra{number}.weight": torch.zeros(1) for number in range(5)}
    state["bn2.bias"] = torch.zeros(7)
    torch.save(state, path)
    with pytest.raises(InputError) as refusal:
        import_network(path)
    line = str(refusal.value)
    assert "missing conv3.weight" in line
    assert "left over extra0.weight, extra1.weight, extra2.weight … (5 in all)" in line
    assert "wrong shape bn2.bias (7,) instead of (32,)" in line


def test_other_files_are_refused_with_the_remedy(tmp_path: Path) -> None:
    state = foreign_network(tmp_path / "model.pth", "upSample").state_dict()

    def refused(name: str, match: str, content: object = None, layout: str | None = None) -> None:
        if content is not None:
            torch.save(content, tmp_path / name)
        with pytest.raises(InputError, match=match) as refusal:
            import_network(tmp_path / name, layout)
        assert name in str(refusal.value)

    refused("missing.pth", "give an existing .pth")
    encoder = {key: value for key, value in state.items() if not key.startswith(("upSample", "conv2", "bn2", "conv3"))}
    refused("resnet.pth", "train --encoder-weights", encoder)
    refused("mobile.pth", "neither a checkpoint of", {"features.weight": torch.zeros(1)})
    refused("empty.pth", "no weights", {"epoch": 3})
    refused("half.pth", "lacks the kernels", {key: value for key, value in state.items() if "conv2" not in key or "layer" in key})
    refused("other.pth", "up-block of another kind", {key.replace("bottom_branch", "faster"): value for key, value in state.items()})
    refused("other.pth", "up-block of another kind", layout="sparse-to-dense")
    refused("flat.pth", "lacks the kernels", {**state, "conv1.weight": torch.tensor(1.0)})
    refused("expanded.pth", "from 1 elements", {**state, "conv2.weight": torch.zeros(1, 1, 1, 1).expand(10**9, 10**9, 1, 1)})
    deeper = {**state, "layer3.2.conv1.weight": torch.zeros(1)}
    refused("deeper.pth", r"encoder of \(2, 2, 3, 2\) basic blocks", deeper)
    foreign_network(tmp_path / "rgbd.pth", "decoder", channels=4)
    refused("rgbd.pth", "takes 4 channels")
    (tmp_path / "text.pth").write_text("hello")
    refused("text.pth", "not a file of torch.save")
    (tmp_path / "other.pkl").write_bytes(pickle.dumps({"a": 1}))
    refused("other.pkl", "not a file of torch.save")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("a.jpg", b"")
    refused("photos.zip", "without torch's data.pkl")
    with pytest.raises(InputError, match="unknown format 'caffe': use one of fcrn-pytorch, sparse-to-dense, iro-cp"):
        import_network(tmp_path / "model.pth", "caffe")
