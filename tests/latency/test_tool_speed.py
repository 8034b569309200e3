import sys
from pathlib import Path

import numpy as np
import pytest
import tool_speed
from safetensors import safe_open

from fcrn_mobile.data import open_source
from fcrn_mobile.network.checkpoints import checkpoint_path, load_checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.network.forms import BUILTIN

MIB = 1 << 20


@pytest.mark.speed
def test_a_process_is_measured_alone_and_not_with_those_before_it() -> None:
    large = tool_speed.run([sys.executable, "-c", f"x = bytearray(b'1') * {200 * MIB}"])
    small = tool_speed.run([sys.executable, "-c", "pass"])
    busy = tool_speed.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.3: pass"])
    # A child begins as a copy of its parent, whose memory counts in the peak of both.
    assert large.peak_bytes > 200 * MIB
    assert small.peak_bytes <= large.peak_bytes
    assert 0.3 <= busy.cpu_seconds < 1
    assert busy.seconds >= busy.cpu_seconds * 0.9


def test_a_process_that_fails_is_no_figure() -> None:
    with pytest.raises(RuntimeError, match="no such thing"):
        tool_speed.run([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_the_images_are_the_samples_over_and_over(tmp_path: Path) -> None:
    tool_speed.write_images(tmp_path / "data", 26)
    made, sample = open_source(f"folder:{tmp_path / 'data'}"), open_source("sample")
    assert len(made) == 26
    assert len({made[index].name for index in range(26)}) == 26
    first, again = made[0], made[24]
    assert np.array_equal(first.image, again.image)
    valid = sample[0].depth > 0
    np.testing.assert_allclose(first.depth[valid], sample[0].depth[valid], atol=6e-4)


def test_the_bare_script_converts_the_network_that_export_converts() -> None:
    with safe_open(checkpoint_path(BUILTIN), framework="pt") as file:
        stored = set(file.keys())
    network = load_checkpoint(BUILTIN).network
    # Its build of the network leaves no weight out and has the same configuration.
    assert network.config == preset("fcrn-lite0-lateral")
    assert set(FCRN(preset("fcrn-lite0-lateral")).state_dict()) == stored


def test_bounds_are_printed_and_broken_ones_named() -> None:
    process = {"seconds": 2.0, "cpu_seconds": 3.0, "peak_bytes": 5_000_000, "preempted": 40}
    result = {
        "figures": dict(zip(tool_speed.BOUNDS, (0.2, 1.3, 0.5, 1.0), strict=True)),
        "help": [process],
        "export_s": {"fcrn-mobile": [13.0], "bare": [10.0]},
        "validate": {"20": {"process": process, "images_per_s": 7.0}},
        "machine": {"processor": "p", "cores": 2, "load_1min": 0.0},
    }
    lines = tool_speed.show(result)
    assert "| --help, s | 0.200 | at most 0.3 |" in lines
    assert "| export / bare coremltools | 1.300 | at most 1.2, BROKEN |" in lines
    assert "| validate: share of cores in use | 0.500 | 0.75 to 1.02, BROKEN |" in lines
    assert any("7.00 images per second, peak 5 MB, 20 preemptions per second" in line for line in lines)
