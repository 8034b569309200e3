"""Layers with networks inside, and those that leave them: branches and loops.

A network's tensors are variables, which layers inside may set anew; MIL's are not. What is set inside is handed out of the branch, or round
the loop, as a result of its operator. A layer that leaves a loop turns what stands behind it into a branch of its own.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fcrn_mobile.mil.neural_network.builder import Nested
from fcrn_mobile.mil.neural_network.layer import Layer, Network
from fcrn_mobile.mil.neural_network.tensor import Tensor, joined
from fcrn_mobile.package.errors import MilError

__all__ = ["LAYERS", "branch", "leave", "loop", "reads", "sequence"]

_Layers = Sequence[Any]
#: Variables of a loop beside those of the network; no blob is called so, since names that are not printable are refused.
_COUNT, _GOES_ON, _BROKEN, _LEFT = "\0count", "\0goes on", "\0broken", "\0left"
#: Loops inside of one another: each is translated several times.
_DEEPEST = 5
_MOST_ROUNDS = 2**31 - 1


def sequence(net: Network, layers: _Layers, translate: Callable[[Any], None]) -> None:
    """Layers in order; what stands behind one that may leave the loop is run only if it has not."""
    for index, layer in enumerate(layers):
        before = net.blobs.get(_LEFT)
        translate(layer)
        left = net.blobs.get(_LEFT)
        if left is not None and left is not before:
            return _either(net, left, lambda: None, lambda rest=layers[index + 1 :]: sequence(net, rest, translate))  # type: ignore[misc]
    return None


def reads(layers: _Layers) -> Counter[str]:
    """How often layers read a name, those inside of others included."""
    return Counter(name for layer in _every(layers) for name in layer.input)


def branch(net: Network, params: Any, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """The first network if the number is not 0, else the second, if there is one."""
    (condition,) = inputs
    _either(net, condition, lambda: net.sequence(params.ifBranch.layers), lambda: net.sequence(params.elseBranch.layers))
    return ()


def loop(net: Network, params: Any, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """The body again and again, as long as the condition's network says so and at most as often as there is a number for.

    Raises:
        MilError: it does not say when it ends, or lies in too many others.
    """
    condition, body = params.conditionNetwork.layers, params.bodyNetwork.layers
    if not (condition or inputs or params.maxLoopIterations) or bool(condition) != bool(params.conditionVar):
        raise MilError("it does not say how often it goes round")
    if net.loops >= _DEEPEST:
        raise MilError(f"it is the {_DEEPEST + 1}th loop inside of another, this runtime goes {_DEEPEST} deep")
    number: Tensor | int = min(int(params.maxLoopIterations), _MOST_ROUNDS)
    limit = net.reshape(net.whole(*inputs), (1,)) if inputs else number or None

    def ask() -> None:
        net.sequence(condition)
        if condition and params.conditionVar not in net.blobs:
            raise MilError(f"its condition {params.conditionVar[:80]!r} is nothing that its network gives")
        answers = [net.truth(net.blobs[params.conditionVar])] if condition else []
        if limit is not None:
            answers.append(net.emit("less", x=net.blobs[_COUNT], y=limit))
        net.assign(_GOES_ON, net.floats(answers[0] if len(answers) == 1 else net.emit("logical_and", x=answers[0], y=answers[1])))

    net.assign(_COUNT, net.known(np.array([0], np.int32)))
    ask()
    names = {_COUNT, _GOES_ON, *(name for layer in _every([*condition, *body]) for name in layer.output)}
    outside = net.reads - reads([*condition, *body])
    variables = {name: net.blobs[name] for name in sorted(names) if name in net.blobs}
    net.blobs |= _rounds(net, variables, {name for name in names if outside[name]}, lambda: net.sequence(body), ask)
    return ()


def leave(broken: bool) -> Callable[[Network, Any, list[Tensor]], tuple[Tensor, ...]]:
    """The end of this round, or of the loop."""

    def translate(net: Network, params: Any, inputs: list[Tensor]) -> tuple[Tensor, ...]:
        if not net.loops:
            raise MilError("it stands in no loop")
        net.assign(_LEFT, _truth(net, True))
        if broken:
            net.assign(_BROKEN, _truth(net, True))
        return ()

    return translate


def _rounds(
    net: Network, variables: dict[str, Tensor], visible: set[str], body: Callable[[], None], ask: Callable[[], None]
) -> dict[str, Tensor]:
    """The operator of a loop.

    Args:
        net: the network, in front of the loop.
        variables: values by name that the loop may change, before it.
        visible: names of those that others than its own layers read.
        body: its layers.
        ask: sets whether it goes on.

    Returns:
        The variables behind it.
    """
    before, types = net.blobs, {name: joined(tensor, tensor) for name, tensor in variables.items()}
    while True:
        arrays, operations = len(net.arrays), list[Any]()
        taken = {name: _variable(net, name, tensor) for name, tensor in types.items()}
        net.loops += 1
        with net.block(operations):
            net.blobs = {**before, **taken, _LEFT: _truth(net, False), _BROKEN: _truth(net, False)}
            body()
            net.assign(_COUNT, net.emit("add", x=taken[_COUNT], y=1))
            _either(net, net.blobs[_BROKEN], lambda: net.assign(_GOES_ON, _truth(net, False)), ask)
            results = {name: net.blobs[name] for name in taken}
        net.loops -= 1
        net.blobs = before
        # What nobody set before the loop is not a number until a round has set it.
        unset = {name: _filler(net, net.latest[name]) for name in sorted(visible - set(variables)) if name in net.latest}
        after = {name: joined(tensor, results[name]) for name, tensor in taken.items()}
        if not unset and all(_type(tensor) == _type(taken[name]) for name, tensor in after.items()):
            break
        net.discard(arrays)
        variables, types = variables | unset, after | unset
    with net.block(operations):
        ends = [_as(net, results[name], tensor.dtype) for name, tensor in taken.items()]
    parameters, question = {name: _variable(net, name, tensor) for name, tensor in taken.items()}, list[Any]()
    with net.block(question):
        answer = net.truth(parameters[_GOES_ON])
    start = [_as(net, variables[name], tensor.dtype) for name, tensor in taken.items()]
    outputs = {name: _variable(net, name, tensor) for name, tensor in taken.items()}
    blocks: list[Nested] = [(list(parameters.values()), question, [answer]), (list(taken.values()), operations, ends)]
    net.emit_flow("while_loop", list(outputs.values()), blocks, loop_vars=start)
    return outputs


def _either(net: Network, condition: Tensor, first: Callable[[], None], second: Callable[[], None]) -> None:
    """The one or the other; what is set in both from there on is the network's."""
    if condition.value is not None and condition.value.size == 1:
        return (first if condition.value.reshape(()) else second)()
    before, truth = net.blobs, net.truth(condition)
    blocks: list[list[Any]] = [[], []]
    scopes: list[dict[str, Tensor]] = []
    for operations, run in zip(blocks, (first, second), strict=True):
        with net.block(operations):
            net.blobs = dict(before)
            run()
        scopes.append(net.blobs)
        net.blobs = before
    names = [name for name in scopes[0] if name in scopes[1] and any(each[name] is not before.get(name) for each in scopes)]
    types = {name: joined(*(scope[name] for scope in scopes)) for name in names}
    nested: list[Nested] = []
    for operations, values in zip(blocks, scopes, strict=True):
        with net.block(operations):
            nested.append(((), operations, [_as(net, values[name], each.dtype) for name, each in types.items()]))
    for name, tensor in types.items():
        net.assign(name, _variable(net, name, tensor))
    return net.emit_flow("cond", [net.blobs[name] for name in names], nested, pred=truth)


def _every(layers: _Layers) -> Iterator[Any]:
    """Layers and those inside of them."""
    for layer in layers:
        yield layer
        for inside in _inside(layer):
            yield from _every(inside)


def _inside(layer: Any) -> Iterable[_Layers]:
    kind = layer.WhichOneof("layer")
    if kind == "branch":
        return layer.branch.ifBranch.layers, layer.branch.elseBranch.layers
    return (layer.loop.conditionNetwork.layers, layer.loop.bodyNetwork.layers) if kind == "loop" else ()


def _variable(net: Network, name: str, tensor: Tensor) -> Tensor:
    """A value of a tensor's type that only running tells."""
    own = name.startswith("\0")
    return replace(tensor, name=net.fresh(name.removeprefix("\0"), scoped=own), value=None, values=())


def _type(tensor: Tensor) -> tuple[str, list[tuple[int, ...]]]:
    return tensor.dtype, [tuple(probe.shape) for probe in tensor.probes]


def _as(net: Network, tensor: Tensor, dtype: str) -> Tensor:
    """The tensor in the type that a variable has: floats that were not rounded stay so."""
    return tensor if tensor.dtype == dtype else net.floats(tensor)


def _filler(net: Network, tensor: Tensor) -> Tensor:
    return net.filled([max(length, 1) for length in tensor.shape], float("nan"))


def _truth(net: Network, value: bool) -> Tensor:
    return net.known(np.array([value], np.float32))


LAYERS = {
    "branch": Layer(branch),
    "loop": Layer(loop, 0, 1),
    "loopBreak": Layer(leave(broken=True), 0, 0),
    "loopContinue": Layer(leave(broken=False), 0, 0),
}
