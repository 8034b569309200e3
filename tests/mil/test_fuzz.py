"""Whatever bytes of a package are damaged: it runs, or is refused in one line."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.mil.build import mb, save_program, types
from tests.mil.mutants import MANIFEST, MODEL, WEIGHTS, try_mutant

MUTANTS = 600


def network(x0: Any, x1: Any) -> tuple[Any, Any]:
    """Operators of every family, with stored weights and small constants."""
    rng = np.random.default_rng(0)
    y = mb.conv(x=x0, weight=rng.normal(size=(6, 3, 3, 3)).astype(np.float32), pad_type="custom", pad=[1, 1, 1, 1])
    y = mb.max_pool(x=mb.relu(x=y), kernel_sizes=[2, 2], strides=[2, 2], pad_type="valid", ceil_mode=True)
    y = mb.upsample_bilinear(x=mb.add(x=y, y=np.ones((1, 6, 1, 1), np.float32)), scale_factor_height=2.0, scale_factor_width=2.0)
    first, second = mb.split(x=mb.softmax(x=mb.reshape(x=y, shape=[1, 6, -1]), axis=-1), num_splits=2, axis=1)
    y = mb.concat(values=[first, second, second], axis=1)
    y = mb.matmul(x=y, y=rng.normal(size=(64, 5)).astype(np.float32))  # 1×9×5
    y = mb.mul(x=mb.transpose(x=y, perm=[0, 2, 1]), y=mb.tile(x=mb.fill(shape=[1, 5, 3], value=2.0), reps=[1, 1, 3]))
    taken = mb.gather(x=mb.cast(x=x1, dtype="fp32"), indices=np.array([2, 0, 1], np.int32), axis=0)
    return y, mb.pad(x=taken, pad=[1, 2], mode="reflect", constant_val=0.5)


def affine_and_lut(x0: Any) -> Any:
    """Compressed weights of iOS 16: attributes, indices of two bits in a byte stream."""
    rng = np.random.default_rng(0)
    data = rng.integers(-9, 9, (4, 3, 3, 3)).astype(np.int8)
    scale = rng.uniform(0.1, 1, 4).astype(np.float32)
    weight = mb.constexpr_affine_dequantize(quantized_data=data, zero_point=np.int8(0), scale=scale, axis=0)
    indices, lut = rng.integers(0, 256, 27).astype(np.uint8), rng.normal(size=4).astype(np.float32)
    table = mb.constexpr_lut_to_dense(indices=indices, lut=lut, shape=np.array([27, 4], np.uint32))
    y = mb.reshape(x=mb.conv(x=x0, weight=weight, pad_type="same", strides=[2, 2]), shape=[4, 16])
    return mb.linear(x=mb.transpose(x=y, perm=[1, 0]), weight=table, bias=np.zeros(27, np.float32))


def blocks_and_lut(x0: Any) -> Any:
    """Compressed weights of iOS 18: four and two bits per element."""
    rng = np.random.default_rng(0)
    data = rng.integers(0, 15, (4, 27)).astype(types.nptype_from_builtin(types.uint4))
    weight = mb.constexpr_blockwise_shift_scale(data=data, scale=rng.uniform(0.1, 1, (4, 3)).astype(np.float32))
    indices = rng.integers(0, 3, (4, 4)).astype(types.nptype_from_builtin(types.uint2))
    table = mb.constexpr_lut_to_dense(indices=indices, lut=rng.normal(size=(1, 1, 4, 1)).astype(np.float32))
    return mb.matmul(x=table, y=mb.add(x=x0, y=weight))


def loops(x0: Any, s0: Any) -> Any:
    """A loop in a loop, a branch, a list and a state."""

    def rows(n: Any, ls: Any) -> Any:
        x = mb.while_loop(
            _cond=lambda x: mb.less(x=mb.reduce_max(x=x, axes=[0], keep_dims=False), y=np.float16(4)),
            _body=lambda x: mb.add(x=x, y=mb.relu(x=mb.add(x=x, y=np.float16(1)))),
            loop_vars=(x0,),
        )
        return mb.add(x=n, y=1), mb.list_write(ls=ls, index=n, value=x)

    ls = mb.make_list(init_length=2, elem_shape=(12,), dtype="fp16")
    n, ls = mb.while_loop(_cond=lambda n, ls: mb.less(x=n, y=3), _body=rows, loop_vars=(0, ls))
    kept = mb.coreml_update_state(state=s0, value=mb.add(x=mb.read_state(input=s0), y=mb.list_read(ls=ls, index=2)))
    ls = mb.list_scatter(ls=ls, indices=[0, 4], value=np.ones((2, 12), np.float16))
    given = mb.cond(
        pred=mb.equal(x=mb.list_length(ls=ls), y=5),
        _true_fn=lambda: mb.list_gather(ls=ls, indices=[0, 1, 4]),
        _false_fn=lambda: mb.stack(values=[kept, kept, x0], axis=0),
    )
    return given, mb.cast(x=n, dtype="fp16")


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """A folder of packages that work."""
    folder = tmp_path_factory.mktemp("sound")
    pixels = np.zeros((1, 3, 8, 8), np.float32)
    packages: list[tuple[str, Any, list[np.ndarray], str, list[tuple[int, ...]]]] = [
        ("network", network, [pixels, np.zeros(4, np.int32)], "iOS17", []),
        ("affine_and_lut", affine_and_lut, [pixels], "iOS16", []),
        ("blocks_and_lut", blocks_and_lut, [np.zeros((4, 27), np.float32)], "iOS18", []),
        ("loops", loops, [np.zeros(12, np.float16)], "iOS18", [(12,)]),
    ]
    for name, body, inputs, target, states in packages:
        save_program(folder, body, inputs, target, states).rename(folder / f"{name}.mlpackage")
    return folder


def test_mutants_run_or_are_refused_under_limits_of_memory_and_time(sound) -> None:
    command = [sys.executable, "-m", "tests.mil.mutants", str(sound), "0", str(MUTANTS)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, cwd=root)
    failures = ended.stdout[ended.stdout.find("FAILED") :] if "FAILED" in ended.stdout else ended.stdout[-300:]
    assert ended.returncode == 0, f"{failures}\n{ended.stderr[-3000:]}"
    outcomes = dict(zip(*[iter(ended.stdout.splitlines()[-1].split())] * 2, strict=True))
    assert int(outcomes["ran"]) > MUTANTS // 20, "hardly a mutant runs: the damage never reaches the operators"
    assert int(outcomes["refused"]) > MUTANTS // 3


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from((MODEL, WEIGHTS, MANIFEST)),
    package=st.sampled_from(("network", "affine_and_lut", "blocks_and_lut", "loops")),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=12)), min_size=1, max_size=3),
)
def test_bytes_exchanged_anywhere_never_raise_anything_else(sound, tmp_path, name: str, package: str, edits: list) -> None:
    mutant = tmp_path / "mutant.mlpackage"
    shutil.rmtree(mutant, ignore_errors=True)
    shutil.copytree(sound / f"{package}.mlpackage", mutant)
    damaged = bytearray((mutant / name).read_bytes())
    for place, removed, inserted in edits:
        start = int(place * len(damaged))
        damaged[start : start + removed] = inserted
    (mutant / name).write_bytes(bytes(damaged))
    try_mutant(mutant)
