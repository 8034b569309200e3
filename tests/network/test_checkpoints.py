import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import checkpoint_path, load_checkpoint, save_checkpoint
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.network.training_record import TrainingRecord


def test_a_checkpoint_rebuilds_its_network(tiny_config, settle, tmp_path) -> None:
    network = settle(FCRN(tiny_config))
    save_checkpoint(network, tmp_path / "net.safetensors", TrainingRecord(data="sample"), {"abs_rel": 0.5})
    loaded = load_checkpoint(str(tmp_path / "net.safetensors"))
    assert loaded.network.config == tiny_config
    assert (loaded.name, loaded.training, loaded.metrics) == ("net", TrainingRecord(data="sample"), {"abs_rel": 0.5})
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        assert torch.equal(loaded.network(image), network(image))


def test_half_precision_halves_the_kernels_only(tiny_config, tmp_path) -> None:
    save_checkpoint(FCRN(tiny_config), tmp_path / "half.safetensors", dtype=torch.float16)
    tensors = load_file(tmp_path / "half.safetensors")
    assert tensors["head.weight"].dtype == torch.float16
    assert tensors["bn.running_var"].dtype == torch.float32
    assert load_checkpoint(str(tmp_path / "half.safetensors")).network.head.weight.dtype == torch.float32


def test_builtin_is_small_and_says_where_it_comes_from(builtin) -> None:
    assert checkpoint_path("builtin").stat().st_size <= 14e6
    assert builtin.network.config.preset == "fcrn-lite0-lateral"
    assert "nyu_train795.zip" in builtin.training.data
    assert any("Silberman" in term for term in builtin.training.terms or ())
    assert builtin.training.command.startswith("fcrn-mobile train")
    assert builtin.metrics["protocol"] == "eigen"


def test_checkpoints_from_before_a_field_was_added_load(tiny_config, tmp_path) -> None:
    save_checkpoint(FCRN(tiny_config), tmp_path / "new.safetensors")
    tensors, config = load_file(tmp_path / "new.safetensors"), dict(tiny_config.__dict__)
    del config["head_relu"]
    save_file(tensors, tmp_path / "old.safetensors", {"config": json.dumps(config)})
    assert load_checkpoint(str(tmp_path / "old.safetensors")).network.config == tiny_config
    del config["widths"]
    save_file(tensors, tmp_path / "older.safetensors", {"config": json.dumps(config), "tool_version": "9.9"})
    with pytest.raises(InputError, match=r"version 9\.9 and differs in widths"):
        load_checkpoint(str(tmp_path / "older.safetensors"))
    save_file(tensors, tmp_path / "newer.safetensors", {"config": json.dumps({**tiny_config.__dict__, "attention": 1})})
    with pytest.raises(InputError, match="differs in attention"):
        load_checkpoint(str(tmp_path / "newer.safetensors"))


def test_a_prediction_without_negative_depth_stays_so(tiny_config, settle, tmp_path) -> None:
    network = settle(FCRN(replace(tiny_config, head_relu=True)))
    save_checkpoint(network, tmp_path / "net.safetensors")
    image = torch.rand(1, 3, 64, 96)
    plain = FCRN(tiny_config).eval()
    plain.load_state_dict(network.state_dict())
    with torch.no_grad():
        depth, loaded = plain(image), load_checkpoint(str(tmp_path / "net.safetensors")).network(image)
    assert depth.min() < 0 < depth.max()
    assert torch.equal(loaded, depth.clamp(min=0))


def test_bad_files_are_named(tiny_config, tmp_path) -> None:
    with pytest.raises(InputError, match="no checkpoint at 'missing"):
        load_checkpoint("missing.safetensors")
    text = tmp_path / "text.safetensors"
    text.write_text("hello")
    with pytest.raises(InputError, match=r"not a readable \.safetensors"):
        load_checkpoint(str(text))
    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(1)}, foreign)
    with pytest.raises(InputError, match="what network"):
        load_checkpoint(str(foreign))
    whole = tmp_path / "whole.safetensors"
    save_checkpoint(FCRN(tiny_config), whole)
    truncated = tmp_path / "truncated.safetensors"
    truncated.write_bytes(whole.read_bytes()[:-100])
    with pytest.raises(InputError, match="truncated"):
        load_checkpoint(str(truncated))
    tensors = load_file(whole)
    del tensors["head.bias"]
    config = {"config": json.dumps({**tiny_config.__dict__})}
    save_file(tensors, tmp_path / "short.safetensors", config)
    with pytest.raises(InputError, match=r"head\.bias"):
        load_checkpoint(str(tmp_path / "short.safetensors"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["head.weight", "bn.running_var"])
def test_weights_that_are_not_finite_are_neither_saved_nor_opened(name, value, tiny_config, tmp_path) -> None:
    path = tmp_path / "net.safetensors"
    network = FCRN(tiny_config)
    save_checkpoint(network, path)
    sound = path.read_bytes()
    network.state_dict()[name].view(-1)[0] = value
    with pytest.raises(InputError, match=rf"weights are not finite \({name}\).*net\.safetensors.*lower --lr"):
        save_checkpoint(network, path)
    assert path.read_bytes() == sound
    assert [file.name for file in tmp_path.iterdir()] == ["net.safetensors"]
    tensors = load_file(path)
    tensors[name].view(-1)[0] = value
    save_file(tensors, path, {"config": json.dumps({**tiny_config.__dict__})})
    with pytest.raises(InputError, match=rf"weights in '.*net\.safetensors' are not finite \({name}\).*lower --lr"):
        load_checkpoint(str(path))


def test_weights_too_large_for_half_precision_are_not_saved_in_it(tiny_config, tmp_path) -> None:
    network = FCRN(tiny_config)
    network.head.weight.data.view(-1)[0] = 1e6
    with pytest.raises(InputError, match=r"not finite \(head\.weight\)"):
        save_checkpoint(network, tmp_path / "half.safetensors", dtype=torch.float16)
    save_checkpoint(network, tmp_path / "float.safetensors")


def test_a_full_disk_is_named_with_the_file(tiny_config, tmp_path, monkeypatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*net\.safetensors'"):
        save_checkpoint(FCRN(tiny_config), tmp_path / "net.safetensors")
