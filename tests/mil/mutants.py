"""Damaged packages by the hundred: ``python -m tests.mil.mutants FOLDER FIRST COUNT``, the packages of FOLDER in turn.

Every mutant is made from its number alone, loaded and run, under limits of memory and time. The number is printed before the
mutant is tried, so that the last line of a crash names its cause.
"""

import faulthandler
import random
import resource
import shutil
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import Program
from fcrn_mobile.package.reading import every_operation, read_specification

MEMORY = 6 * 2**30
SECONDS = 30
STEPS = 3000
MODEL, WEIGHTS, MANIFEST = "Data/com.apple.CoreML/model.mlmodel", "Data/com.apple.CoreML/weights/weight.bin", "Manifest.json"

_LENGTHS = (0, 1, 2, 3, 7, 64, 1000, 65536, 2**20, 2**31 - 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1, -1, -2)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Damage some bytes: overwrite, cut off, remove, repeat or swap ranges."""
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        start, end = sorted(rng.choices(range(len(damaged) + 1), k=2))
        end = min(end, start + rng.choice((1, 4, 8, 64, 10**9)))
        match rng.choice(("bytes", "bytes", "bits", "fill", "cut", "remove", "repeat", "swap", "insert")):
            case "bytes":
                for position in rng.choices(range(len(damaged) or 1), k=rng.choice((1, 3, 20))):
                    damaged[position : position + 1] = bytes([rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))])
            case "bits":
                if damaged:
                    damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
            case "fill":
                damaged[start:end] = bytes([rng.choice((0, 255, 128))]) * (end - start)
            case "cut":
                del damaged[start:]
            case "remove":
                del damaged[start:end]
            case "repeat":
                damaged[end:end] = damaged[start:end]
            case "swap":
                middle = (start + end) // 2
                damaged[start:end] = damaged[middle:end] + damaged[start:middle]
            case "insert":
                damaged[start:start] = rng.randbytes(rng.choice((1, 4, 64)))
    return bytes(damaged)


def mutate_message(message: Any, rng: random.Random) -> None:
    """Damage one field somewhere inside a protobuf message, which stays one."""
    while True:
        fields = [field for field, _ in message.ListFields()]
        if not message.DESCRIPTOR.fields:
            return
        if not fields or rng.random() < 0.02:
            field = rng.choice(message.DESCRIPTOR.fields)
            if field.message_type is None or not field.is_repeated:
                break
            return
        field = rng.choice(fields)
        value = getattr(message, field.name)
        if field.message_type is None:
            break
        if not field.is_repeated:
            if rng.random() < 0.05:
                message.ClearField(field.name)
                return
            message = value
            continue
        keys = sorted(value) if field.message_type.GetOptions().map_entry else range(len(value))
        key = rng.choice(keys)
        if rng.random() < 0.1:
            _mutate_repeated(value, key, keys, rng)
            return
        if not hasattr(value[key], "DESCRIPTOR"):
            value[key] = "other" if isinstance(value[key], str) else 77
            return
        message = value[key]
    if field.message_type is None:
        _mutate_scalar(message, field, rng)


def _mutate_repeated(values: Any, key: Any, keys: Any, rng: random.Random) -> None:
    """Remove, repeat or exchange an element of a list or map of messages."""
    other = rng.choice(keys)
    match rng.choice(("remove", "repeat", "exchange")):
        case "remove":
            del values[key]
        case "repeat" if hasattr(values, "append") and len(values) < 10**4:
            values.append(values[key])
        case "exchange" if hasattr(values[key], "CopyFrom"):
            kept = type(values[key])()
            kept.CopyFrom(values[key])
            values[key].CopyFrom(values[other])
            values[other].CopyFrom(kept)


def _mutate_scalar(message: Any, field: Any, rng: random.Random) -> None:
    value = getattr(message, field.name)
    values = list(value) if field.is_repeated else [value]
    index = rng.randrange(len(values) + 1)
    old: Any = values[index % len(values)] if values else field.default_value
    new: Any
    if field.enum_type is not None:
        new = rng.choice((*[item.number for item in field.enum_type.values], 77))
    elif isinstance(old, bool):
        new = not old
    elif isinstance(old, str):
        new = rng.choice(("", "x0", "ones", old + "_", "\n", "é" * 40, "CoreML9", "same", "valid", "custom", "float16", "../" + old))
    elif isinstance(old, bytes):
        new = mutate(old, rng)
    elif isinstance(old, float):
        new = rng.choice((0.0, -1.0, float("nan"), float("inf"), 1e30, old * 2))
    elif old is None or isinstance(old, list):
        new = 1
    else:
        new = rng.choice((*_LENGTHS, old + 1, old - 1, old * 2))
    try:
        if field.is_repeated:
            values[index : index + 1] = [new]
            message.ClearField(field.name)
            getattr(message, field.name).extend(values)
        else:
            setattr(message, field.name, new)
    except (TypeError, ValueError, OverflowError):
        return  # this field cannot hold it: the mutant is the original


def make_mutant(package: Path, mutant: Path, number: int) -> None:
    """Write the mutant of this number."""
    rng = random.Random(number)
    shutil.rmtree(mutant, ignore_errors=True)
    shutil.copytree(package, mutant)
    if rng.random() < 0.5:
        model, _ = read_specification(package)
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            mutate_message(_place(model, rng), rng)
        (mutant / MODEL).write_bytes(model.SerializeToString())
        return
    name = rng.choice((MODEL, MODEL, MODEL, WEIGHTS, WEIGHTS, MANIFEST))
    if (mutant / name).exists():
        (mutant / name).write_bytes(mutate((mutant / name).read_bytes(), rng))


def _place(model: Any, rng: random.Random) -> Any:
    """A part of the specification: mostly one operator, where most of what can go wrong stands."""
    part = rng.random()
    if part < 0.1:
        return model
    if part < 0.2:
        return model.description
    if part > 0.95:
        return model.mlProgram
    blocks = [block for function in model.mlProgram.functions.values() for block in function.block_specializations.values()]
    operations = [operation for block in blocks for operation in every_operation(block)]
    if not operations:
        return model
    constants = [operation for operation in operations if operation.type == "const" and "val" in operation.attributes]
    if constants and part > 0.6:
        # The numbers themselves: sizes, pads, axes, flags.
        return rng.choice(constants).attributes["val"].immediateValue.tensor
    return rng.choice(operations)


def try_mutant(mutant: Path) -> str:
    """Load and run a package that may be damaged: ``ran``, or the one line that refuses it.

    Raises:
        AssertionError: the line is none, or names nothing.
        Exception: anything but InputError.
    """
    try:
        program = Program.load(mutant)
        inputs = {feature.name: _value(feature) for feature in program.inputs if _is_small(feature)}
        values = program.start(inputs, program.make_state())
        for count, _ in enumerate(program.every_step(values)):
            if count == STEPS:  # a damaged loop may be one without end
                return "ran"
        program.results(values)
    except InputError as error:
        line = " ".join(str(error).split())  # as the command line prints it
        assert line.isprintable() and 20 < len(line) < 1500, f"not one clear line: {line[:200]!r}"
        return line
    return "ran"


def _value(feature: Any) -> Any:
    """Something that an input takes."""
    others = {"number": 0.5, "label": "" if feature.dtype == "STRING" else 0, "scores": {}}
    return others[feature.kind] if feature.kind in others else np.zeros(feature.shape, _dtype(feature.dtype))


def _dtype(name: str) -> type:
    return np.uint8 if name in ("RGB", "BGR", "GRAYSCALE") else np.int32 if name.startswith("INT") else np.float32


def _is_small(feature: Any) -> bool:
    return bool(np.prod([float(length) for length in feature.shape]) < 1e7)


def main(folder: Path, first: int, count: int) -> int:
    """Try mutants; the number of those that were neither run nor refused in one line."""
    packages = sorted(folder.glob("*.mlpackage"))
    outcomes = {"ran": 0, "refused": 0, "failed": 0}
    with tempfile.TemporaryDirectory() as temporary:
        mutant = Path(temporary) / "mutant.mlpackage"
        for package in packages:
            assert try_mutant(package) == "ran", f"{package} is not sound"
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        for number in range(first, first + count):
            package = packages[number % len(packages)]
            make_mutant(package, mutant, number)
            print(f"mutant {number} of {package.stem}", flush=True)
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            try:
                line = try_mutant(mutant)
                print(f"  {line}", flush=True)
                outcomes["ran" if line == "ran" else "refused"] += 1
            except Exception:
                outcomes["failed"] += 1
                print(f"FAILED {number}\n{traceback.format_exc()}", flush=True)
            faulthandler.cancel_dump_traceback_later()
    print(" ".join(f"{outcome} {times}" for outcome, times in outcomes.items()))
    return outcomes["failed"]


if __name__ == "__main__":
    sys.exit(min(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])), 100))
