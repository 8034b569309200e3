"""The arithmetic policies on small programs, and where values run over."""

import numpy as np
import pytest

from fcrn_mobile.mil import MilError, Program
from tests.mil.build import mb, run_package, save_package


def half(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return x.astype(np.float16).astype(np.float32)


def test_float16_rounds_every_result_and_overflows_to_infinity(tmp_path) -> None:
    path = save_package(tmp_path, lambda x0: mb.mul(x=mb.add(x=x0, y=np.float32(1)), y=np.float32(300)), [(4,)], "FLOAT16")
    x = np.array([0.0, 1 / 3, 1000.0, 1e-7], np.float32)
    with np.errstate(over="ignore"):
        expected = ((x.astype(np.float16) + np.float16(1)) * np.float16(300)).astype(np.float32)
    (actual,) = run_package(path, [x], "float16")
    np.testing.assert_array_equal(actual, expected)
    assert np.isinf(actual[2])
    (wide,) = run_package(path, [x], "float32")
    assert np.isfinite(wide).all()


def test_sums_inside_an_operator_stay_wide(tmp_path) -> None:
    # 4096 ones: a half-precision accumulator would stop at 2048.
    weight = np.ones((1, 4096, 1, 1), np.float32)
    path = save_package(tmp_path, lambda x0: mb.conv(x=x0, weight=weight, pad_type="valid"), [(1, 4096, 1, 1)], "FLOAT16")
    (actual,) = run_package(path, [np.ones((1, 4096, 1, 1), np.float32)], "float16")
    assert actual.item() == 4096


def test_subnormals_survive(tmp_path) -> None:
    path = save_package(tmp_path, lambda x0: mb.mul(x=x0, y=np.float32(0.5)), [(1,)], "FLOAT16")
    (actual,) = run_package(path, [np.array([2.0**-23], np.float32)], "float16")
    assert actual.item() == 2.0**-24


def test_rounding_never_reaches_back_into_an_input(tmp_path) -> None:
    # x is read again after its float16 copy was rounded.
    def body(x0):
        return mb.add(x=mb.cast(x=mb.cast(x=x0, dtype="fp16"), dtype="fp32"), y=x0)

    path = save_package(tmp_path, body, [(1,)], "FLOAT32")
    x = np.array([1 / 3], np.float32)
    (actual,) = run_package(path, [x], "float16")
    np.testing.assert_array_equal(actual, half(x) + x)


def test_products_beyond_the_published_limit_are_infinite_under_ane(tmp_path) -> None:
    weight = np.eye(2, dtype=np.float32).reshape(2, 2, 1, 1)

    def body(x0):
        return mb.mul(x=mb.conv(x=x0, weight=weight, pad_type="valid"), y=np.float32(-1))

    path = save_package(tmp_path, body, [(1, 2, 1, 1)], "FLOAT16")
    x = np.array([32000.0, 40000.0], np.float32).reshape(1, 2, 1, 1)
    np.testing.assert_array_equal(run_package(path, [x], "float16")[0].ravel(), [-32000, -40000])
    np.testing.assert_array_equal(run_package(path, [x], "ane")[0].ravel(), [-32000, -np.inf])
    # What is no product may be larger.
    plain = save_package(tmp_path, lambda x0: mb.mul(x=x0, y=np.float32(1.5)), [(1,)], "FLOAT16")
    assert run_package(plain, [np.array([40000.0], np.float32)], "ane")[0].item() == 60000


@pytest.mark.parametrize("kind", ["matmul", "linear"])
def test_matrix_products_have_the_same_limit(kind, tmp_path) -> None:
    y = np.full((2, 2), 100, np.float32)

    def body(x0):
        return mb.matmul(x=x0, y=y) if kind == "matmul" else mb.linear(x=x0, weight=y)

    path = save_package(tmp_path, body, [(1, 2)], "FLOAT16")
    x = np.array([[200, 200]], np.float32)
    assert np.isfinite(run_package(path, [x], "float16")[0]).all()
    assert np.isinf(run_package(path, [x], "ane")[0]).all()


def test_the_first_tensor_that_runs_over_is_named(tmp_path) -> None:
    def body(x0):
        big = mb.mul(x=x0, y=np.float32(300), name="big")
        return mb.relu6(x=mb.mul(x=big, y=np.float32(300), name="bigger"), name="clamped")

    path = save_package(tmp_path, body, [(2,)], "FLOAT16")
    program = Program.load(path, "float16")
    x = np.array([1.0, 250.0], np.float32)
    found = program.first_overflow({"x0": x})
    assert found is not None
    assert found.name.startswith("big")
    assert found.operator == "mul"
    assert found.largest == 300
    assert "300" in str(found)
    # It was clamped away: the output alone would have told nothing. One run gives both.
    results, watched = program.watch({"x0": x})
    assert watched == found
    (output,) = results.values()
    np.testing.assert_array_equal(output, run_package(path, [x], "float16")[0])
    assert np.isfinite(output).all()
    assert program.first_overflow({"x0": np.full(2, 0.1, np.float32)}) is None
    assert Program.load(path, "float32").first_overflow({"x0": x}) is None


def test_an_unknown_policy_names_the_known_ones(packages) -> None:
    with pytest.raises(MilError, match="float32, float16, ane"):
        Program.load(packages["fp16"], "bfloat16")  # type: ignore[arg-type]
