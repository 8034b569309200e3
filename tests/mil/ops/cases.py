"""Arguments for every operator: what is read at run time, in half precision, and constants that half precision holds as well."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from fcrn_mobile.mil.ops import OPERATORS
from fcrn_mobile.mil.ops.lists import TensorList
from fcrn_mobile.mil.ops.states import Cell

#: Arguments that are computed at run time, where they are floats with an axis; all others are constants.
READ = {
    *("x", "y", "a", "b", "values", "data", "updates", "update", "input", "query", "key", "value", "boxes", "scores", "ref_tensor"),
    *("ref_tensors", "probabilities", "coordinates", "transform_matrix", "initial_h", "initial_c", "ls", "loop_vars"),
}
#: Operators that are not run at run time.
EXPANDED = "constexpr_"
_generator = torch.Generator().manual_seed(0)


def read(*shape: int, scale: float = 3.0) -> Tensor:
    """Numbers of both signs that half precision holds."""
    return (scale * torch.randn(shape, generator=_generator)).half().float()


def t(*numbers: Any) -> Tensor:
    """A vector of constants; of one number a scalar."""
    return torch.tensor(numbers[0] if len(numbers) == 1 else list(numbers))


HALF = t(0.10009765625)  # no product with it is a half-precision number
MAP, CUBE, ROWS = (1, 4, 6, 8), (2, 3, 4), (9, 5)
COUNT = torch.arange(3, dtype=torch.int32)
ROW = read(3)
LIST = TensorList(4, (3,), torch.float32, written={1: read(3), 3: read(3)})
UNARY = (
    *("abs", "acos", "asin", "atan", "atanh", "ceil", "cos", "cosh", "erf", "exp", "exp2", "floor", "inverse", "log", "relu", "relu6"),
    *("round", "rsqrt", "sigmoid", "sign", "silu", "sin", "sinh", "softmax", "softplus", "softsign", "sqrt", "square", "tan", "tanh"),
    *("gelu", "identity", "l2_norm", "layer_norm", "instance_norm", "shape", "non_zero", "argsort", "cumsum", "topk", "reverse"),
    *("reduce_argmax", "reduce_argmin", "reduce_l1_norm", "reduce_l2_norm", "reduce_log_sum", "reduce_log_sum_exp", "reduce_max"),
    *("reduce_mean", "reduce_min", "reduce_prod", "reduce_sum", "reduce_sum_square"),
)
BINARY = (
    *("add", "equal", "floor_div", "greater", "greater_equal", "less", "less_equal", "maximum", "minimum", "mod", "mul", "not_equal"),
    *("pow", "real_div", "sub"),
)
SAMPLED = {"sampling_mode": "bilinear", "padding_mode": "constant", "padding_value": t(1.5), "coordinates_mode": "unnormalized"}
SAMPLED |= {"align_corners": True}

EVERY_STEP = {"output_sequence": True}

#: Operator → several sets of arguments; what is recorded of it must hold for all.
CASES: dict[str, list[dict[str, Any]]] = {
    **{kind: [{"x": read(2, 3, 4, 5)}] for kind in UNARY},
    **{kind: [{"x": read(*CUBE), "y": read(2, 1, 4)}, {"x": read(40), "y": read(30, 1)}] for kind in BINARY},
    **{kind: [{"x": read(30, 1) > 0, "y": read(1, 40) > 0}] for kind in ("logical_and", "logical_or", "logical_xor")},
    "affine": [
        {"x": read(1, 2, 4, 4), "transform_matrix": read(1, 6), "output_height": t(20), "output_width": t(20), **SAMPLED}
        | {"coordinates_mode": "normalized_minus_one_to_one"}
    ],
    "avg_pool": [{"x": read(*MAP), "kernel_sizes": t(2, 2), "pad_type": "custom", "pad": t(1, 1, 1, 1)}],
    "band_part": [{"x": read(4, 4), "lower": t(1), "upper": t(0)}],
    "batch_norm": [{"x": read(*MAP), "mean": read(4), "variance": read(4).abs()}],
    "batch_to_space": [{"x": read(4, 2, 3, 3), "block_shape": t(2, 2), "crops": torch.tensor([[0, 1], [1, 0]])}],
    "cast": [{"x": read(*ROWS), "dtype": "int32"}, {"x": torch.tensor([70001, 3]), "dtype": "fp16"}],
    "clamped_relu": [{"x": read(*ROWS), "alpha": HALF, "beta": t(1.5)}],
    "classify": [{"probabilities": read(3).abs(), "classes": ("a", "b", "c")}],
    "clip": [{"x": read(*ROWS), "alpha": t(-0.5), "beta": t(1.5)}],
    "cond": [{"pred": t(chosen), "blocks": (lambda: (ROW, COUNT), lambda: (-ROW, COUNT))} for chosen in (True, False)],
    "concat": [{"values": (read(2, 3), read(2, 3)), "axis": t(0)}, {"values": (read(2, 3),), "axis": t(1)}],
    "conv": [
        {"x": read(*MAP), "weight": read(5, 4, 3, 3), "pad_type": "custom", "pad": t(2, 2, 2, 2)},
        {"x": read(*MAP), "weight": read(4, 1, 3, 3), "bias": read(4), "groups": t(4), "strides": t(2, 1)},
    ],
    "conv_quantized": [
        {"x": read(*MAP), "weight": torch.arange(60).repeat(3)[:180].reshape(5, 4, 3, 3).to(torch.uint8), "bias": read(5)}
        | {"quantization_type": "linear", "quant_scale": read(5), "quant_bias": t(0.0)}
        | {"pad_type": "custom", "pad": t(2, 2, 2, 2)}
    ],
    "conv_transpose": [{"x": read(*MAP), "weight": read(4, 5, 3, 3), "strides": t(2, 3), "bias": read(5)}],
    "crop": [{"x": read(*MAP), "crop_height": t(1, 2), "crop_width": t(0, 1)}],
    "crop_resize": [
        {"x": read(1, 2, 4, 4), "boxes": torch.tensor([[0.0, 0, 3, 3], [1, -2, 2, 3]]), "target_height": t(9), "target_width": t(7)}
        | {"pad_value": t(1.5), "box_indices": t(0, 0)}
    ],
    "dequantize": [{"input": torch.tensor([-33, 57, 101], dtype=torch.int8), "scale": HALF, "zero_point": t(1)}],
    "depth_to_space": [{"x": read(*MAP), "block_size": t(2)}],
    "einsum": [
        {"values": (read(3, 4), read(4, 5)), "equation": "ab,bc->ac"},
        {"values": (read(9), read(8)), "equation": "a,b->ab"},
        {"values": (read(3, 4),), "equation": "ab->ba"},
    ],
    "elu": [{"x": read(*ROWS), "alpha": HALF}],
    "expand_dims": [{"x": read(*ROWS), "axes": t(0, 3)}],
    "fill": [{"shape": t(40, 9), "value": t(0.5)}],
    "fill_like": [{"ref_tensor": read(*ROWS), "value": t(0.5)}],
    "flatten2d": [{"x": read(*CUBE), "axis": t(2)}],
    "floor_div": [{"x": t(2047.0, -7.5), "y": t(0.10009765625, 2.0)}],
    "gather": [{"x": read(3, 7), "indices": COUNT.repeat(9), "axis": t(0)}],
    "gather_along_axis": [{"x": read(3, 7), "indices": torch.tensor([[2, 0, 1, 1, 2, 0, 0]]), "axis": t(0)}],
    "gather_nd": [{"x": read(3, 27), "indices": COUNT.repeat(5).reshape(-1, 1)}],
    "gru": [{"x": read(40, 1, 1), "initial_h": read(1, 4), "weight_ih": read(12, 1), "weight_hh": read(12, 4), **EVERY_STEP}],
    "l2_pool": [{"x": read(*MAP), "kernel_sizes": t(2, 2)}],
    "leaky_relu": [{"x": read(*ROWS), "alpha": HALF}],
    "linear": [{"x": read(2, 30, 5), "weight": read(40, 5), "bias": read(40)}],
    "linear_activation": [{"x": read(*ROWS), "alpha": HALF, "beta": t(0.5)}],
    "list_gather": [{"ls": LIST, "indices": t(3, 1, 0)}],
    "list_length": [{"ls": LIST}],
    "list_read": [{"ls": LIST, "index": t(1)}, {"ls": LIST, "index": t(0)}],
    "list_scatter": [{"ls": LIST, "indices": t(0, 2), "value": read(2, 3)}],
    "list_write": [{"ls": LIST, "index": t(5), "value": read(3)}],
    "local_response_norm": [{"x": read(*MAP), "size": t(3)}],
    "logical_not": [{"x": read(*ROWS) > 0}],
    "lstm": [
        {"x": read(40, 1, 1), "initial_h": read(1, 4), "initial_c": read(1, 4), "weight_ih": read(16, 1), "weight_hh": read(16, 4)}
        | EVERY_STEP,
        {"x": read(9, 2, 3), "initial_h": read(2, 8), "initial_c": read(2, 8), "weight_ih": read(16, 3), "weight_hh": read(16, 4)}
        | {"weight_ih_back": read(16, 3), "weight_hh_back": read(16, 4), "direction": "bidirectional"},
    ],
    "make_list": [{"elem_shape": (t(3), "rows"), "init_length": t(40), "dtype": "fp16"}],
    "matmul": [{"x": read(3, 4), "y": read(4, 5)}, {"x": read(2, 9, 1), "y": read(7, 1), "transpose_y": True}],
    "max_pool": [{"x": read(*MAP), "kernel_sizes": t(2, 2), "pad_type": "custom", "pad": t(1, 1, 1, 1)}],
    "non_maximum_suppression": [
        {"boxes": read(1, 40, 4).abs(), "scores": read(1, 40, 2).abs(), "iou_threshold": t(0.5)}
        | {"max_boxes": t(200), "score_threshold": t(1.5)}
    ],
    "one_hot": [{"indices": COUNT, "one_hot_vector_size": t(9), "on_value": t(0.5), "off_value": t(0.0)}],
    "pad": [{"x": read(*MAP), "pad": t(1, 2, 0, 30), "constant_val": t(0.5)}, {"x": read(*MAP), "pad": t(1, 2, 0, 3), "mode": "reflect"}],
    "pixel_shuffle": [{"x": read(*MAP), "upscale_factor": t(2)}],
    "pixel_unshuffle": [{"x": read(*MAP), "downscale_factor": t(2)}],
    "prelu": [{"x": read(*MAP), "alpha": read(4)}],
    "quantize": [{"input": read(*ROWS), "scale": HALF, "output_dtype": "int8"}],
    "random_bernoulli": [{"shape": t(40, 9), "seed": t(1)}],
    "random_categorical": [{"x": read(3, 4), "size": t(60), "seed": t(1)}],
    "random_normal": [{"shape": t(40, 9), "seed": t(1)}],
    "random_uniform": [{"shape": t(40, 9), "seed": t(1)}],
    "range_1d": [{"start": t(0.0), "end": t(9.0), "step": HALF}],
    "resample": [{"x": read(1, 2, 4, 4), "coordinates": read(1, 9, 9, 2), **SAMPLED}],
    "read_state": [{"input": Cell(read(*ROWS))}],
    "reshape": [{"x": read(*CUBE), "shape": t(2, 3, 2, 2)}],
    "reshape_like": [
        {"x": read(2, 6), "ref_tensors": (read(3, 4),), "begins": (t(0),), "ends": (t(2),), "end_masks": (False,)},
    ],
    "resize": [{"x": read(*MAP), "shape": t(15, 20), "resized_dims": t(2)}],
    "resize_bilinear": [{"x": read(*MAP), "target_size_height": t(15), "target_size_width": t(20)}],
    "resize_nearest_neighbor": [{"x": read(*MAP), "target_size_height": t(15), "target_size_width": t(20)}],
    "rnn": [{"x": read(40, 1, 1), "initial_h": read(1, 4), "weight_ih": read(4, 1), "weight_hh": read(4, 4), **EVERY_STEP}],
    "reverse_sequence": [{"x": read(3, 4), "lengths": t(1, 4, 3), "seq_axis": t(1)}],
    "scaled_dot_product_attention": [{"query": read(1, 5, 4), "key": read(1, 7, 4), "value": read(1, 7, 3)}],
    "scaled_tanh": [{"x": read(*ROWS), "alpha": HALF, "beta": HALF}],
    "scatter": [{"data": read(3, 4), "indices": COUNT, "updates": read(3, 4), "mode": mode} for mode in ("add", "mul")],
    "scatter_along_axis": [
        {"data": read(3, 4), "indices": torch.tensor([[1, 0, 2, 2]]), "updates": read(1, 4), "mode": mode} for mode in ("add", "mul")
    ],
    "scatter_nd": [{"data": read(3, 4), "indices": COUNT.reshape(-1, 1), "updates": read(3, 4), "mode": mode} for mode in ("add", "mul")],
    "select": [{"cond": read(9, 1) > 0, "a": read(1, 4), "b": read(1, 4)}],
    "sigmoid_hard": [{"x": read(*ROWS), "alpha": HALF, "beta": t(0.5)}],
    "slice_by_index": [{"x": read(*CUBE), "begin": t(0, 0, 0), "end": t(2, 3, 4), "stride": t(1, 2, 1)}],
    "slice_by_size": [{"x": read(*CUBE), "begin": t(0, 1, 0), "size": t(2, 1, -1)}],
    "slice_update": [{"x": read(*ROWS), "update": read(1, 5), "begin": t(1, 0), "end": t(2, 5)}],
    "sliding_windows": [{"x": read(2, 30), "axis": t(1), "size": t(9)}],
    "softplus_parametric": [{"x": read(*MAP), "alpha": read(4), "beta": read(4)}],
    "space_to_batch": [{"x": read(1, 2, 3, 3), "block_shape": t(2, 2), "paddings": torch.tensor([[0, 5], [4, 3]])}],
    "space_to_depth": [{"x": read(*MAP), "block_size": t(2)}],
    "split": [{"x": read(*MAP), "num_splits": t(2), "axis": t(1)}],
    "squeeze": [{"x": read(2, 1, 3), "axes": torch.tensor([1])}],
    "stack": [{"values": (read(2, 3), read(2, 3)), "axis": t(1)}],
    "threshold": [{"x": read(*ROWS), "alpha": t(0.5)}],
    "thresholded_relu": [{"x": read(40, 5), "alpha": t(0.5)}],
    "tile": [{"x": read(*ROWS), "reps": t(4, 3)}],
    "transpose": [{"x": read(*CUBE), "perm": t(2, 0, 1)}],
    "upsample_bilinear": [{"x": read(*MAP), "scale_factor_height": t(3), "scale_factor_width": t(2), "align_corners": True}],
    "upsample_nearest_neighbor": [{"x": read(*MAP), "scale_factor_height": t(3), "scale_factor_width": t(2)}],
    "while_loop": [
        {"loop_vars": (read(*ROWS), t(2)), "blocks": (lambda x, left: (left > 0,), lambda x, left: ((x + 0.5).half().float(), left - 1))}
    ],
    "write_state": [{"input": Cell(read(*ROWS)), "data": read(*ROWS)}],
}
CASES["floor_div"] += [{"x": read(40), "y": read(30, 1)}]


def changed(case: dict[str, Any], function: Any) -> dict[str, Any]:
    """A case with other floats where they are read at run time."""

    def of(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(of(item) for item in value)
        if isinstance(value, TensorList):
            return replace(value, written={index: of(item) for index, item in value.written.items()})
        if isinstance(value, Cell):
            return Cell(of(value.tensor))
        return function(value) if isinstance(value, Tensor) and value.is_floating_point() and value.dim() else value

    return {key: of(value) if key in READ else value for key, value in case.items()}


def ran(kind: str, case: dict[str, Any]) -> Any:
    """What an operator gives; its blocks, if it has any, are functions of the case that give tuples."""
    given = OPERATORS[kind].run(**{key: value for key, value in case.items() if key != "blocks"})
    if not OPERATORS[kind].blocks:
        return given
    number, inputs = next(given)
    try:
        while True:
            number, inputs = given.send(case["blocks"][number](*inputs))
    except StopIteration as end:
        return end.value


def tensors(value: Any) -> list[Tensor]:
    """All tensors of a case or a result; of a list those that were written."""
    if isinstance(value, TensorList):
        return list(value.written.values())
    if isinstance(value, Cell):
        return [value.tensor]
    if isinstance(value, dict | tuple | list):
        return [tensor for item in (value.values() if isinstance(value, dict) else value) for tensor in tensors(item)]
    return [value] if isinstance(value, Tensor) else []
