"""A program that makes one depth map of one picture."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.mil.arithmetic import Arithmetic
from fcrn_mobile.mil.depth_interface import DepthInterface, PictureInput, Port
from fcrn_mobile.mil.program import Program
from fcrn_mobile.package.metadata import model_contract

__all__ = ["DepthProgram"]


@dataclass(frozen=True)
class DepthProgram(Program):
    """A program of one picture in and one map of floating-point numbers out.

    Attributes:
        title: names it in messages when it runs.
        contract: what its metadata or a model config say of picture and depth; None where nobody says anything.
    """

    title: str = "the model"
    contract: DepthContract | None = None

    @classmethod
    def load(
        cls,
        path: Path | str,
        arithmetic: Arithmetic | str = "float32",
        function: str | None = None,
        model_config: Path | None = None,
        size: tuple[int, int] | None = None,
    ) -> Self:
        """As ``Program.load``.

        Args:
            path, arithmetic, function: see there.
            model_config: TOML of the contract; None takes what the metadata say, else the file beside the model.
            size: height and width of the pictures, of those that it takes; None: its usual ones.

        Raises:
            MilError: see there.
            InputError: other inputs or outputs, or a contract that cannot be.
        """
        program = Program.load(path, arithmetic, function)
        contract = model_contract(Path(path), program.metadata, model_config)
        return cls.of(program, f"'{path}'", (contract or DepthContract()).at(size) if size else contract, f"'{path}'")

    @classmethod
    def of(cls, program: Program, what: str, contract: DepthContract | None = None, title: str = "the model") -> Self:
        """A program as one that makes depth.

        Args:
            program: any; one that makes depth stays as it is.
            what: names it where it does not.
            contract: of it; None takes what its metadata say.
            title: names it in messages when it runs.

        Raises:
            InputError: other inputs or outputs, or a contract that cannot be.
        """
        if isinstance(program, cls):
            program.interface_as(what)
            return program
        values = {item.name: getattr(program, item.name) for item in fields(Program)}
        result = cls(**values, title=title, contract=contract or model_contract(None, program.metadata))
        result.interface_as(what)
        return result

    @cached_property
    def interface(self) -> DepthInterface:
        """How a picture goes in and depth comes out.

        Raises:
            InputError: other inputs or outputs.
        """
        return self.interface_as(self.title)

    def interface_as(self, what: str) -> DepthInterface:
        """The same, with another name for the program where it is none."""
        return DepthInterface.of(what, [*map(Port.of, self.inputs)], [*map(Port.of, self.outputs)], self.contract)

    @cached_property
    def picture_input(self) -> PictureInput:
        """How a picture goes in, whatever comes out.

        Raises:
            InputError: other inputs.
        """
        return PictureInput.of(self.title, [*map(Port.of, self.inputs)], self.contract)

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of its picture."""
        return self.picture_input.size

    @property
    def picture_sizes(self) -> tuple[tuple[int, int], ...]:
        """All heights and widths of its picture that are counted, its own first."""
        port = self.picture_input.port
        others = port.shapes.enumerated if port.kind == "image" and port.shapes else ()
        return tuple(dict.fromkeys((self.input_size, *((height, width) for height, width in others))))

    def taking(self, image: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Its inputs for an image of any size, H×W×3 uint8 RGB."""
        return {self.picture_input.port.name: self.picture_input.fill(image)}

    def depth(self, outputs: Mapping[str, Any], image: NDArray[np.uint8] | None = None) -> NDArray[np.float32]:
        """The h×w map among its outputs; ``image``: see ``DepthInterface.depth``.

        Raises:
            InputError: it is no map.
        """
        return self.interface.depth(outputs[self.interface.output.name], image)
