"""``fcrn-mobile predict``."""

from pathlib import Path

import click

from fcrn_mobile.cli.common import json_option, make_folder, progress, write_json
from fcrn_mobile.errors import InputError


@click.command("predict")
@click.argument("model")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the results.")
@click.option("--backend", default="auto", show_default=True)
@json_option
def command(model: str, images: tuple[Path, ...], out: Path, backend: str, json_out: str | None) -> None:
    """Depth of IMAGES: NAME.png beside its input in colours, and NAME.depth.png in 16-bit millimetres."""
    from fcrn_mobile.data.images import read_image, save_depth_png
    from fcrn_mobile.report.figures import save_side_by_side
    from fcrn_mobile.runtimes import open_runtime

    _check_names(images)
    decoded = {path: read_image(path) for path in images}
    runtime = open_runtime(model, backend)
    make_folder(out)
    written = []
    with progress("predict") as on_image:
        for index, (path, image) in enumerate(decoded.items()):
            depth = runtime.predict(image)
            coloured, millimetres = out / f"{path.stem}.png", out / f"{path.stem}.depth.png"
            save_side_by_side(image, depth, coloured)
            save_depth_png(depth, millimetres)
            written.append(
                {
                    "image": str(path),
                    "picture": str(coloured),
                    "depth_mm": str(millimetres),
                    "metres": [float(depth.min()), float(depth.max())],
                }
            )
            on_image(index + 1, len(images))
    if json_out:
        write_json(json_out, {"model": runtime.name, "backend": runtime.backend, "results": written})
    if json_out != "-":
        for (path, _), entry in zip(decoded.items(), written, strict=True):
            near, far = entry["metres"]
            print(f"{path}: {near:.2f} to {far:.2f} m  {entry['picture']}  {entry['depth_mm']}")


def _check_names(images: tuple[Path, ...]) -> None:
    """Two images of one name would overwrite each other's results."""
    stems: dict[str, Path] = {}
    for path in images:
        if path.stem in stems:
            raise InputError(f"'{stems[path.stem]}' and '{path}' have the same name: predict them into two folders")
        stems[path.stem] = path
