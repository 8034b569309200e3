"""What a search makes its packages from: a float network, or a float package of any maker."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcrn_mobile.conversion.compress_package import compress_package, package_recipe
from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.float_package import FloatPackage, open_float_package
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.float_network import FloatNetwork
from fcrn_mobile.network.forms import form_of, open_network
from fcrn_mobile.package.reading import SUFFIXES
from fcrn_mobile.runtimes import Runtime, open_runtime

__all__ = ["Origin", "open_origin"]


@dataclass(frozen=True, eq=False)
class Origin:
    """A float network that packages are made from.

    Attributes:
        model: as the user names it.
        network: what it is.
        model_config: TOML of a package's contract; None: what its metadata say, else the file beside it.
    """

    model: str
    network: FloatNetwork | FloatPackage
    model_config: Path | None = None

    @property
    def title(self) -> str:
        """For messages: what it is, and its name."""
        return f"{'package' if isinstance(self.network, FloatPackage) else 'network'} '{self.model}'"

    @property
    def sha256(self) -> str:
        """Of what it holds."""
        return self.network.sha256

    @property
    def contract(self) -> DepthContract | None:
        """What its depth means; None where a package does not say."""
        return self.network.contract

    @property
    def apart(self) -> dict[str, Any]:
        """What its packages follow from beside ``sha256``: contract and size of a network from outside, the contract of a package."""
        if isinstance(self.network, Checkpoint):
            return {}
        facts: dict[str, Any] = {"contract": self.contract.to_dict()} if self.contract else {}
        return facts if isinstance(self.network, FloatPackage) else facts | {"input_size": list(self.network.input_size)}

    def write(self, recipe: Recipe, out: Path, force: bool = False) -> None:
        """Make a package of it; arguments and errors as of ``export`` and ``compress_package``."""
        if isinstance(self.network, FloatPackage):
            compress_package(self.network, package_recipe(self.network, recipe), out, force, may_stay=True)
        else:
            export(self.network, recipe, out, force)

    def runtime(self) -> Runtime:
        """The float network, which candidates are held against: a package in float32 arithmetic."""
        backend = "mil" if isinstance(self.network, FloatPackage) else "auto"
        return open_runtime(self.model, backend, "float32", model_config=self.model_config)


def open_origin(model: str, model_config: Path | None = None) -> Origin:
    """Open a float network of any form (``network.forms``) or a float .mlpackage.

    Args:
        model: as the user names it.
        model_config: TOML of a package's contract.

    Raises:
        InputError: as of ``open_network`` and ``open_float_package``; a model config for a network, which says itself what it takes.
    """
    if Path(model).suffix in SUFFIXES:
        return Origin(model, open_float_package(Path(model), model_config), model_config)
    if model_config:
        form, remedy = form_of(model), "leave it out"
        if form and form.options:
            remedy = f"write it into the name, {model}{'&' if '?' in model else '?'}config={model_config}"
        raise InputError(f"--model-config '{model_config}' is for packages, and '{model}' is a network: {remedy}")
    return Origin(model, open_network(model))
