import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.mil import MilError, Program
from fcrn_mobile.mil.blob import BlobFile
from fcrn_mobile.mil.ops.constexpr import constexpr_affine_dequantize, constexpr_blockwise_shift_scale
from fcrn_mobile.mil.package import main_block, read_specification
from fcrn_mobile.quiet import quiet_coremltools


def test_every_weight_of_a_package_equals_coremltools_own_reader(packages) -> None:
    with quiet_coremltools():
        from coremltools.libmilstoragepython import _BlobStorageReader
    readers = {"FLOAT16": "read_fp16_data", "FLOAT32": "read_float_data", "INT8": "read_int8_data"}
    compared = 0
    for precision in ("fp32", "fp16", "int8"):
        model, folder = read_specification(packages[precision])
        path = folder / "weights" / "weight.bin"
        theirs, ours = _BlobStorageReader(str(path)), BlobFile(path)
        for operation in main_block(model, packages[precision]).operations:
            for value in operation.attributes.values():
                if value.WhichOneof("value") != "blobFileValue":
                    continue
                from fcrn_mobile.mil.values import shape_of, type_name

                kind, count = type_name(value.type), int(np.prod(shape_of(value.type)))
                expected = np.array(getattr(theirs, readers[kind])(value.blobFileValue.offset))
                actual = ours.read(value.blobFileValue.offset, count)
                if kind == "FLOAT16" and expected.dtype != np.float16:
                    expected = expected.astype(np.uint16).view(np.float16)  # its bindings hand over the bits
                np.testing.assert_array_equal(actual, expected)
                compared += 1
    assert compared > 150


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), axis=st.integers(0, 1), whole=st.booleans())
def test_affine_dequantization_equals_its_formula(seed: int, axis: int, whole: bool) -> None:
    rng = np.random.default_rng(seed)
    shape = (4, 6)
    count = 1 if whole else shape[axis]
    q = torch.from_numpy(rng.integers(-128, 128, shape).astype(np.int8))
    scale = torch.from_numpy(rng.uniform(0.01, 1, count).astype(np.float32))
    zero = torch.from_numpy(rng.integers(-5, 5, count).astype(np.int8))
    along = (-1, 1) if axis == 0 else (1, -1)
    stored = q.numpy().astype(np.float64) - zero.numpy().reshape(along)
    expected = torch.from_numpy((stored * scale.numpy().astype(np.float64).reshape(along)).astype(np.float32))
    actual = constexpr_affine_dequantize(q, zero[0] if whole else zero, scale[0] if whole else scale, torch.tensor(axis))
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-6)


def test_blockwise_scales_cover_their_blocks() -> None:
    data = torch.arange(8, dtype=torch.int8).reshape(2, 4)
    scale = torch.tensor([[1.0, 10.0], [100.0, 1000.0]])
    expected = torch.tensor([[0, 1, 20, 30], [400, 500, 6000, 7000]], dtype=torch.float32)
    assert torch.equal(constexpr_blockwise_shift_scale(data, scale), expected)
    offset = torch.ones(2, 2, dtype=torch.int8)
    assert torch.equal(constexpr_blockwise_shift_scale(data, scale, offset), expected - scale.repeat_interleave(2, 1))


def test_a_truncated_or_foreign_weights_file_is_named(packages, tmp_path) -> None:
    import shutil

    broken = tmp_path / "broken.mlpackage"
    shutil.copytree(packages["fp16"], broken)
    weights = next(broken.rglob("weight.bin"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MilError, match=r"weight\.bin' is truncated"):
        Program.load(broken)
    weights.write_bytes(b"")
    with pytest.raises(MilError, match=r"weight\.bin"):
        Program.load(broken)
    weights.write_bytes(b"\x01" * len(whole))
    with pytest.raises(MilError, match="not MIL blob storage"):
        Program.load(broken)
    weights.unlink()
    with pytest.raises(MilError, match="cannot read weights"):
        Program.load(broken)
