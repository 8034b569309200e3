"""For every rule a model that it is about, and a twin of which it has nothing to say: small, and written by coremltools."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fcrn_mobile.quiet import quiet_coremltools
from tests.mil.build import convert, ct, mb, save_program
from tests.mil.specifications import COLOURS

with quiet_coremltools():
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder, quantization_utils
    from coremltools.proto.Model_pb2 import Model

__all__ = ["PLANTS", "Plant"]

Make = Callable[[Path], Path]
Edit = Callable[[Any], None]
SHAPE = (1, 4, 8, 32)
HALF = np.float16


@dataclass(frozen=True)
class Plant:
    """A model with a hazard, its twin without, and what else is found in each for good reason."""

    planted: Make
    twin: Make
    others: frozenset[str] = frozenset()
    of_twin: frozenset[str] | None = None

    @property
    def twins(self) -> frozenset[str]:
        return self.others if self.of_twin is None else self.of_twin


def plant(planted: Make, twin: Make, *others: str, of_twin: Sequence[str] | None = None) -> Plant:
    return Plant(planted, twin, frozenset(others), None if of_twin is None else frozenset(of_twin))


def program(
    body: Callable[..., Any], *shapes: tuple[int, ...], target: str = "iOS17", dtype: Any = HALF, edit: Edit | None = None, **how: Any
) -> Make:
    def make(folder: Path) -> Path:
        path = save_program(folder, body, [np.zeros(shape, dtype) for shape in shapes or (SHAPE,)], target, **how)
        return edited(path, edit) if edit else path

    return make


def specification(path: Path) -> Path:
    return path / "Data/com.apple.CoreML/model.mlmodel"


def edited(path: Path, edit: Edit) -> Path:
    model = Model.FromString(specification(path).read_bytes())
    edit(model)
    specification(path).write_bytes(model.SerializeToString())
    return path


def version(number: int) -> Edit:
    def edit(model: Any) -> None:
        model.specificationVersion = number

    return edit


def block(model: Any) -> Any:
    function = model.mlProgram.functions["main"]
    return function.block_specializations[function.opset]


def operator(model: Any, kind: str) -> Any:
    return next(op for op in block(model).operations if op.type == kind)


def older_set(model: Any) -> None:
    function = model.mlProgram.functions["main"]
    function.block_specializations["CoreML6"].CopyFrom(function.block_specializations["CoreML7"])
    del function.block_specializations["CoreML7"]
    function.opset = "CoreML6"


def renamed(model: Any) -> None:
    operator(model, "relu").type = "relu_of_tomorrow"


def unread(model: Any) -> None:
    operator(model, "square").inputs["x"].arguments[0].name = "nothing"


def six_axes(model: Any) -> None:
    kind = operator(model, "square").outputs[0].type.tensorType
    kind.rank = 6
    del kind.dimensions[:]
    for length in (1, 1, *SHAPE):
        kind.dimensions.add().constant.size = length


def second_function(model: Any) -> None:
    model.mlProgram.functions["other"].CopyFrom(model.mlProgram.functions["main"])


def named(name: str) -> Edit:
    def edit(model: Any) -> None:
        old = model.description.output[0].name
        model.description.output[0].name = block(model).outputs[0] = name
        for op in block(model).operations:
            for output in op.outputs:
                output.name = name if output.name == old else output.name

    return edit


def without_weights(make: Make) -> Make:
    def removed(folder: Path) -> Path:
        path = make(folder)
        (path / "Data/com.apple.CoreML/weights/weight.bin").unlink()
        return path

    return removed


def loosened(axis: int, describe: Callable[[Any, Any], None], inputs: int = 1) -> Edit:
    """Make an axis of rank-4 tensors unknown, and describe what its lengths may be; of that many inputs."""

    def edit(model: Any) -> None:
        described = model.description.input[:inputs]
        names = {item.name for item in described}
        values = [value for value in model.mlProgram.functions["main"].inputs if value.name in names]
        for value in [*values, *(output for op in block(model).operations for output in op.outputs)]:
            dimensions = value.type.tensorType.dimensions
            if len(dimensions) == 4:
                dimensions[axis].unknown.variadic = False
        for item in described:
            describe(item.type.multiArrayType, axis)

    return edit


def between(low: int, high: int) -> Callable[[Any, int], None]:
    def describe(array: Any, axis: int) -> None:
        for index, length in enumerate(array.shape):
            size = array.shapeRange.sizeRanges.add()
            size.lowerBound, size.upperBound = (low, high) if index == axis else (length, length)

    return describe


def listed(count: int) -> Callable[[Any, int], None]:
    def describe(array: Any, axis: int) -> None:
        for length in range(1, count + 1):
            shape = list(array.shape)
            shape[axis] = length
            array.enumeratedShapes.shapes.add(shape=shape)

    return describe


def flexible(describe: Callable[[Any, int], None], body: Callable[..., Any] | None = None, inputs: int = 1) -> Make:
    shapes = [SHAPE] * max(inputs, 1 if body is None else body.__code__.co_argcount)
    return program(body or (lambda x: mb.relu(x=x)), *shapes, edit=loosened(2, describe, inputs))


def picture(
    body: Callable[..., Any], layout: str = "", size: tuple[int, int] = (32, 64), more: int = 0, sizes: Sequence[tuple[int, int]] = ()
) -> Make:
    """An image in; an image of a layout out, or an array of float32."""

    def whole(x: Any, *others: Any) -> Any:
        y = body(mb.cast(x=x, dtype="fp16"), *others)
        return y if layout == "GRAYSCALE_FLOAT16" else mb.cast(x=y, dtype="fp32")

    def edit(model: Any) -> None:
        describe(model.description.input[0].type, "RGB")
        if layout:
            describe(model.description.output[0].type, layout)

    def describe(kind: Any, colors: str) -> None:
        kind.ClearField("multiArrayType")
        kind.imageType.colorSpace = COLOURS[colors]
        kind.imageType.height, kind.imageType.width = size
        for height, width in sizes:
            kind.imageType.enumeratedSizes.sizes.add(height=height, width=width)

    def make(folder: Path) -> Path:
        inputs = [np.zeros((1, 3, *size), np.float32), *([np.zeros(SHAPE, HALF)] * more)]
        path = edited(save_program(folder, whole, inputs, "iOS17"), edit)
        return edited(path, lambda model: loosen_all(model)) if sizes else path

    return make


def loosen_all(model: Any) -> None:
    values = [*model.mlProgram.functions["main"].inputs, *(output for op in block(model).operations for output in op.outputs)]
    for value in values:
        for dimension in list(value.type.tensorType.dimensions)[2:]:
            dimension.unknown.variadic = False


def gray(x: Any, *_: Any) -> Any:
    return mb.reduce_max(x=x, axes=[1], keep_dims=True)


def doubled(x: Any) -> Any:
    return mb.mul(x=x, y=HALF(2))


def stack(default: int) -> Make:
    inputs = [ct.TensorType("a", shape=(2, 4)), ct.TensorType("b", shape=(2, ct.RangeDim(1, 9, default=default)))]

    class Stack(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return torch.stack((a, b))

    def make(folder: Path) -> Path:
        path = Path(tempfile.mkdtemp(dir=folder))
        return convert(Stack(), [torch.zeros(2, 4)] * 2, path, inputs=inputs, compute_precision=ct.precision.FLOAT16)

    return make


def network(build: Callable[[Any], None], shape: tuple[int, ...] = (4, 8, 32), nbits: int = 0) -> Make:
    def make(folder: Path) -> Path:
        path = Path(tempfile.mkdtemp(dir=folder)) / "net.mlmodel"
        with quiet_coremltools():
            builder = NeuralNetworkBuilder([("x", datatypes.Array(*shape))], [("y", None)], disable_rank5_shape_mapping=True)
            build(builder)
            spec = builder.spec
            if nbits:
                spec = quantization_utils.quantize_weights(ct.models.MLModel(spec, skip_model_load=True), nbits)
                spec = spec if isinstance(spec, Model) else spec.get_spec()
        path.write_bytes(spec.SerializeToString())
        return path

    return make


def custom(builder: Any) -> None:
    builder.add_activation("relu", "RELU", "x", "y")
    layer = builder.spec.neuralNetwork.layers[0]
    layer.ClearField("activation")
    layer.custom.className = "Mine"


def dense(builder: Any) -> None:
    builder.add_inner_product("fc", np.ones((32, 128), np.float32), None, 128, 32, False, "x", "y")


def mish(softplus: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: mb.mul(x=x, y=mb.tanh(x=softplus(x=x)))


def hard_swish(product: Callable[..., Any]) -> Callable[..., Any]:
    def body(x: Any) -> Any:
        cut = mb.thresholded_relu(x=product(x=x, weight=np.ones((64, 32), HALF)), alpha=HALF(-3))
        return mb.mul(x=cut, y=mb.sigmoid_hard(x=cut, alpha=HALF(1 / 6), beta=HALF(0.5)))

    return body


def through_conv(x: Any, weight: Any) -> Any:
    return mb.reshape(x=mb.conv(x=mb.reshape(x=x, shape=[1, 32, 1, 32]), weight=weight[:, :, None, None]), shape=[32, 64])


def conv(*kernel: int, **how: Any) -> Make:
    return program(lambda x: mb.conv(x=x, weight=np.ones((4, 4, *kernel), HALF), pad_type="same", **how))


def first_two(x: Any) -> Any:
    return mb.slice_by_index(x=x, begin=[0, 0, 0, 0], end=[1, 2, 0, 32], end_mask=[False, False, True, False])


def summed(x: Any, y: Any) -> Any:
    return mb.add(x=mb.relu(x=x), y=mb.reduce_max(x=y, axes=[1, 2, 3], keep_dims=True))


def transposed(stride: int, **how: Any) -> Callable[..., Any]:
    weight = np.ones((4, 4, stride, 1), HALF)
    return lambda x: mb.conv_transpose(x=x, weight=weight, strides=[stride, 1], **how)


def pool(kind: str, kernel: int, stride: int, **how: Any) -> Callable[..., Any]:
    return lambda x: getattr(mb, kind)(x=x, kernel_sizes=[kernel] * 2, strides=[stride] * 2, **how)


def average(**how: Any) -> Make:
    settings = {"exclude_padding_from_average": False, "pad_type": "valid", "ceil_mode": True} | how
    return program(pool("avg_pool", 2, 2, **settings), (1, 4, 7, 63))


def spiky(largest: Callable[..., Any]) -> Callable[..., Any]:
    def body(x: Any) -> Any:
        scaled = mb.real_div(x=x, y=largest(x))
        return mb.mul(x=scaled, y=mb.rsqrt(x=mb.reduce_mean(x=mb.square(x=scaled), axes=[2], keep_dims=True), epsilon=HALF(1e-3)))

    return body


def times(count: int) -> Callable[..., Any]:
    def body(x: Any) -> Any:
        for _ in range(count):
            x = mb.add(x=x, y=HALF(1))
        return x

    return body


def gathered(x: Any) -> Any:
    return mb.gather(x=x, indices=np.array([2, 0, 1, 3]), axis=1)


def affine(x: Any) -> Any:
    weight = mb.constexpr_affine_dequantize(quantized_data=np.ones((4, 4, 1, 1), np.int8), zero_point=np.int8(0), scale=HALF(1), axis=0)
    return mb.conv(x=x, weight=weight)


def blocks(count: int) -> Make:
    def body(x: Any) -> Any:
        data, scale = np.ones((32, 32), np.int8), np.ones((32, count), HALF)
        return mb.linear(x=x, weight=mb.constexpr_blockwise_shift_scale(data=data, scale=scale))

    return program(body, (4, 32), target="iOS18")


def quantized(x: Any) -> Any:
    stored = mb.quantize(input=x, scale=HALF(0.1), output_dtype="int8")
    return mb.dequantize(input=stored, scale=HALF(0.1))


def wide(width: int) -> Make:
    return program(lambda x: mb.linear(x=x, weight=np.zeros((width, 3300), HALF)), (4, 3300))


def indexed(length: int) -> Make:
    body = lambda x, i: mb.gather(x=x, indices=mb.cast(x=mb.cast(x=i, dtype="int32"), dtype="int16"), axis=0, validate_indices=False)  # noqa: E731
    return program(body, (length, 32), (4,))


def narrow(last: int) -> Make:
    shape = (1, 64, 4096 // last, last)
    body = lambda x: mb.reshape(x=mb.square(x=mb.reshape(x=x, shape=list(shape))), shape=[1, 64, 128, 32])  # noqa: E731
    return program(body, (1, 64, 128, 32))


relu = program(lambda x: mb.relu(x=x))
plain = network(lambda b: b.add_activation("relu", "RELU", "x", "y"))
convolved = conv(1, 1)
SQUARED = lambda x: mb.relu(x=mb.square(x=x))  # noqa: E731
IMAGE = ("simulator", "fixed-size", "units-missing")

PLANTS: dict[str, Plant] = {
    "padding-mode": plant(
        program(lambda x: mb.pad(x=x, pad=[0, 0, 1, 1, 0, 0, 0, 0], mode="reflect", constant_val=HALF(0))),
        program(lambda x: mb.pad(x=x, pad=[0, 0, 1, 1, 0, 0, 0, 0], mode="constant", constant_val=HALF(0))),
    ),
    "stack-defaults": plant(stack(2), stack(4), "flexible-range", "padded-array-rows"),
    "weights-damaged": plant(without_weights(conv(3, 3)), conv(3, 3)),
    "damaged": plant(program(SQUARED, edit=unread), program(SQUARED)),
    "rank": plant(program(SQUARED, edit=six_axes), program(SQUARED)),
    "specification-version": plant(program(SQUARED, edit=version(7)), program(SQUARED)),
    "operator-set": plant(program(quantized, edit=older_set), program(quantized), "int8-activations"),
    "operator-unknown": plant(program(SQUARED, edit=renamed), program(SQUARED)),
    "float16-interface": plant(program(SQUARED, target="iOS15"), program(SQUARED, target="iOS16")),
    "states-version": plant(
        program(lambda x, s: mb.add(x=x, y=mb.read_state(input=s)), target="iOS18", states=[SHAPE], edit=version(8)),
        program(lambda x, s: mb.add(x=x, y=mb.read_state(input=s)), target="iOS18", states=[SHAPE]),
        "specification-version",
        "stateful",
        of_twin=["stateful", "new-system"],
    ),
    "functions-version": plant(
        program(SQUARED, edit=second_function),
        program(SQUARED, target="iOS18", edit=second_function),
        of_twin=["new-system"],
    ),
    "too-many-shapes": plant(flexible(listed(129)), flexible(listed(128)), "enumerated-shapes"),
    "range-from-0": plant(flexible(between(0, 9), first_two), flexible(between(1, 9), first_two), "flexible-range"),
    "range-without-end": plant(flexible(between(1, -1)), flexible(between(1, 9)), "flexible-range"),
    "custom-layer": plant(network(custom), plain, "neural-network"),
    "average-pooling-ceil": plant(average(), average(exclude_padding_from_average=True)),
    "softplus": plant(program(lambda x: mb.softplus(x=x)), relu),
    "mish": plant(program(mish(mb.softplus)), program(mish(mb.relu)), "activation-table"),
    "logsumexp": plant(
        program(lambda x: mb.reduce_log_sum_exp(x=x, axes=[1], keep_dims=True)),
        program(lambda x: mb.reduce_log_sum_exp(x=x, axes=[2], keep_dims=True)),
    ),
    "log-softmax": plant(
        program(lambda x: mb.log(x=mb.softmax(x=x, axis=1), epsilon=HALF(0))), program(lambda x: mb.log(x=mb.relu(x=x), epsilon=HALF(0)))
    ),
    "logcumsumexp": plant(
        program(lambda x: mb.log(x=mb.cumsum(x=mb.exp(x=x), axis=1), epsilon=HALF(0))),
        program(lambda x: mb.log(x=mb.cumsum(x=mb.relu(x=x), axis=1), epsilon=HALF(0))),
        "off-engine",
        "split-graph",
    ),
    "hard-swish": plant(program(hard_swish(mb.linear), (32, 32)), program(hard_swish(through_conv), (32, 32))),
    "slice-of-width": plant(
        program(lambda x: mb.slice_by_index(x=x, begin=[0, 0, 0, 32], end=[1, 4, 8, 64]), (1, 4, 8, 64)),
        program(lambda x: mb.slice_by_index(x=x, begin=[0, 0, 4, 0], end=[1, 4, 8, 32]), (1, 4, 8, 64)),
    ),
    "beyond-float16": plant(program(lambda x: mb.add(x=x, y=HALF(-np.inf))), program(lambda x: mb.add(x=x, y=HALF(-1e4)))),
    "output-shape": plant(program(transposed(2, output_shape=[1, 4, 15, 32])), program(transposed(2, output_shape=[1, 4, 16, 32]))),
    "index-of-16-bits": plant(indexed(40000), indexed(30000), "off-engine"),
    "epsilon": plant(
        program(lambda x: mb.layer_norm(x=x, axes=[3], epsilon=HALF(1e-8))),
        program(lambda x: mb.layer_norm(x=x, axes=[3], epsilon=HALF(1e-3))),
    ),
    "nan-test": plant(
        program(lambda x: mb.select(cond=mb.not_equal(x=x, y=x), a=HALF(0), b=x)),
        program(lambda x: mb.select(cond=mb.not_equal(x=x, y=HALF(1)), a=HALF(0), b=x)),
    ),
    "counting-in-float16": plant(
        program(lambda x: mb.cumsum(x=x, axis=1), (1, 2080)), program(lambda x: mb.cumsum(x=x, axis=1), (1, 2048)), "off-engine"
    ),
    "long-sum": plant(
        program(lambda x: mb.add(x=x, y=mb.reduce_sum(x=x, axes=[1, 2, 3], keep_dims=True)), (1, 4, 256, 128)),
        program(lambda x: mb.add(x=x, y=mb.reduce_sum(x=x, axes=[1, 2], keep_dims=True)), (1, 4, 256, 128)),
    ),
    "activation-table": plant(program(lambda x: mb.sigmoid(x=x)), relu),
    "computed-kernel": plant(program(lambda x, w: mb.conv(x=x, weight=w, pad_type="same"), SHAPE, (4, 4, 1, 1)), convolved),
    "rms-norm": plant(
        program(spiky(lambda x: mb.reduce_max(x=mb.abs(x=x), axes=[2], keep_dims=True))),
        program(spiky(lambda x: mb.reduce_max(x=x, axes=[2], keep_dims=True))),
    ),
    "enumerated-together": plant(flexible(listed(2), summed, 2), flexible(listed(2), summed, 1), "enumerated-shapes"),
    "depth-of-8-bits": plant(picture(gray, "GRAYSCALE"), picture(gray, "GRAYSCALE_FLOAT16"), *IMAGE[1:], of_twin=IMAGE),
    "off-engine": plant(program(gathered), relu),
    "split-graph": plant(
        program(lambda x: mb.relu(x=gathered(mb.square(x=x)))), program(lambda x: gathered(mb.relu(x=mb.square(x=x)))), "off-engine"
    ),
    "float32": plant(program(SQUARED, dtype=np.float32), program(SQUARED)),
    "int32": plant(program(lambda x: mb.add(x=x, y=1), dtype=np.int32), program(lambda x: mb.add(x=x, y=HALF(1)))),
    "long-axis": plant(program(SQUARED, (1, 4, 1, 70016)), program(SQUARED, (1, 4, 1, 8192))),
    "flexible-range": plant(flexible(between(1, 9)), relu),
    "enumerated-shapes": plant(flexible(listed(2)), relu),
    "wide-kernel": plant(conv(1, 17), conv(17, 1)),
    "dilation": plant(conv(3, 3, dilations=[2, 2]), conv(3, 3)),
    "pooling-window": plant(program(pool("max_pool", 33, 1, pad_type="same")), program(pool("max_pool", 3, 1, pad_type="same"))),
    "pooling-stride": plant(
        program(pool("max_pool", 3, 4, pad_type="same"), (1, 4, 32, 128)), program(pool("max_pool", 3, 2, pad_type="same"), (1, 4, 32, 128))
    ),
    "upsampling-scale": plant(
        program(lambda x: mb.upsample_bilinear(x=x, scale_factor_height=4, scale_factor_width=4)),
        program(lambda x: mb.upsample_bilinear(x=x, scale_factor_height=2, scale_factor_width=2)),
    ),
    "response-norm": plant(
        program(lambda x: mb.local_response_norm(x=x, size=3), (1, 16, 8, 32)), program(lambda x: mb.local_response_norm(x=x, size=3))
    ),
    "narrow-top-k": plant(
        program(lambda x: mb.topk(x=x, k=3, axis=1)[0], (1, 8, 8, 32)),
        program(lambda x: mb.topk(x=x, k=5, axis=1)[0], (1, 8, 8, 32)),
        "int32",
    ),
    "transposed-stride": plant(program(transposed(16)), program(transposed(8))),
    "last-axis": plant(narrow(2), narrow(32)),
    "broadcast-layers": plant(
        network(lambda b: b.add_add_broadcastable("sum", ["x", "x"], "y")),
        network(lambda b: b.add_elementwise("sum", ["x", "x"], "y", "ADD")),
        "neural-network",
    ),
    "uncompressed": plant(wide(3200), wide(32)),
    "network-in-float32": plant(network(dense, (128,)), network(dense, (128,), nbits=16), "neural-network"),
    "int8-weights": plant(program(affine), convolved),
    "blockwise-weights": plant(blocks(4), blocks(1), "int8-weights", "new-system"),
    "int8-activations": plant(program(quantized), relu),
    "neural-network": plant(plain, relu),
    "long-chain": plant(program(times(260)), program(times(240))),
    "padded-array-rows": plant(program(SQUARED, (1, 4, 8, 33)), program(SQUARED)),
    "padded-image-rows": plant(picture(gray, "GRAYSCALE_FLOAT16", (32, 40)), picture(gray, "GRAYSCALE_FLOAT16"), *IMAGE),
    "simulator": plant(
        picture(gray, "GRAYSCALE_FLOAT16"), picture(gray), *IMAGE[1:], of_twin=["array-from-vision", "fixed-size", "units-missing"]
    ),
    "picture-as-array": plant(program(SQUARED, (1, 3, 32, 32)), program(SQUARED, (1, 4, 32, 32))),
    "inputs-besides-the-image": plant(
        picture(lambda x, y: mb.mul(x=x, y=mb.reduce_max(x=y, axes=[1, 2, 3], keep_dims=True)), "RGB", more=1),
        picture(doubled, "RGB"),
        "fixed-size",
    ),
    "array-from-vision": plant(picture(doubled), picture(doubled, "RGB"), "fixed-size"),
    "fixed-size": plant(picture(doubled, "RGB"), picture(doubled, "RGB", sizes=[(32, 64), (64, 64)]), of_twin=["enumerated-shapes"]),
    "names-in-code": plant(program(SQUARED, edit=named("depth/map")), program(SQUARED, edit=named("depth_map"))),
    "new-system": plant(program(SQUARED, target="iOS18"), program(SQUARED)),
    "stateful": plant(
        program(lambda x, s: mb.add(x=x, y=mb.read_state(input=s)), target="iOS18", states=[SHAPE]),
        program(SQUARED, target="iOS18"),
        "new-system",
    ),
}
