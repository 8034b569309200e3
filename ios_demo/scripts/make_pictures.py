"""Draw the pictures of the README from what DepthCore computes of sample frames, and the icon; not screenshots of a device.

The built-in checkpoint is exported in half precision and run by the MIL runtime; ``depth-picture`` turns its depth map into colours, the
lines of the HUD and the distance at a point, as the app does. Only their places on the picture are drawn here. Needs Swift (``make
ios-check``).

    .venv/bin/python ios_demo/scripts/make_pictures.py
"""

import os
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.data.images import read_image
from fcrn_mobile.network.checkpoints import load_checkpoint
from fcrn_mobile.palette import depth_colours
from fcrn_mobile.runtimes import open_runtime

IOS_DEMO = Path(__file__).resolve().parent.parent
#: Where check_linux.sh keeps its files, seen from here and from the root file system that Swift runs in.
BUILD = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "fcrn-mobile/swift-build"
SCENES = ("room_03", "room_17")
PRECISION = "fp16"
WIDTH = 400
GAP = 12
#: Point whose distance is read, as shares of width and height.
TAPPED = (0.72, 0.55)


@dataclass(frozen=True)
class Shown:
    """What the app shows of one frame.

    Attributes:
        photo: upright, as the model saw it.
        colours: of the depth map.
        lines: of the HUD.
        distance: at ``TAPPED``.
    """

    photo: Image.Image
    colours: Image.Image
    lines: list[str]
    distance: str


def show(photo: NDArray[np.uint8], metres: NDArray[np.float32]) -> Shown:
    """Hand a depth map to DepthCore.

    Args:
        photo: H×W×3.
        metres: h×w.
    """
    height, width = metres.shape
    (BUILD / "metres.f32").write_bytes(metres.astype("<f4").tobytes())
    x, y = TAPPED[0] * width, TAPPED[1] * height
    command = (
        "swift run --package-path $DEMO/DepthCore --scratch-path $BUILD -j 1 depth-picture "
        f"$BUILD/metres.f32 {width} {height} {x} {y} {PRECISION} $BUILD/colours.ppm"
    )
    script = IOS_DEMO / "scripts/check_linux.sh"
    result = subprocess.run(["bash", str(script), "bash", "-c", command], check=True, stdout=subprocess.PIPE, text=True)
    *lines, distance = result.stdout.splitlines()
    with Image.open(BUILD / "colours.ppm") as colours:
        return Shown(Image.fromarray(photo), colours.convert("RGB"), lines, distance)


def screens(shown: Shown) -> Image.Image:
    """RGB, depth and split beside each other."""
    size = (WIDTH, WIDTH * shown.colours.height // shown.colours.width)
    photo = shown.photo.resize(size, Image.Resampling.BICUBIC)
    depth = shown.colours.resize(size, Image.Resampling.BILINEAR)
    split = photo.copy()
    split.paste(depth.crop((WIDTH // 2, 0, *size)), (WIDTH // 2, 0))
    row = Image.new("RGB", (3 * WIDTH + 2 * GAP, size[1]), "white")
    for index, picture in enumerate((photo, depth, split)):
        panel(picture, (8, 8), shown.lines)
        if index:
            panel(picture, (int(TAPPED[0] * size[0]), int(TAPPED[1] * size[1])), [shown.distance], centred=True)
        row.paste(picture, (index * (WIDTH + GAP), 0))
    return row


def panel(picture: Image.Image, place: tuple[int, int], lines: list[str], centred: bool = False) -> None:
    """Text on a blurred, lightened ground, as the app's material has it."""
    font = ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), 12)
    text = "\n".join(lines)
    left, top, right, bottom = ImageDraw.Draw(picture).multiline_textbbox((0, 0), text, font)
    width, height = int(right - left) + 16, int(bottom - top) + 12
    x, y = (place[0] - width // 2, place[1] - height // 2) if centred else place
    box = (x, y, x + width, y + height)
    ground = Image.blend(picture.crop(box).filter(ImageFilter.GaussianBlur(8)), Image.new("RGB", (width, height), "white"), 0.6)
    mask = Image.new("L", ground.size, 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, width - 1, height - 1), 8, fill=255)
    picture.paste(ground, box, mask)
    ImageDraw.Draw(picture).multiline_text((x + 8 - left, y + 6 - top), text, "black", font)


def icon() -> Image.Image:
    """A corridor in the colours of depth: near at the rim, far in the middle."""
    across = np.abs(np.linspace(-1, 1, 1024))
    share = 1 - np.maximum(across[:, None], across)
    steps = np.floor(share * 8) / 8
    return Image.fromarray((depth_colours()(steps)[..., :3] * 255).astype(np.uint8))


def main() -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "builtin.mlpackage"
        export(load_checkpoint("builtin"), Recipe(precision=PRECISION), package)
        runtime = open_runtime(str(package), "mil", "float16")
        for scene in SCENES:
            photo = read_image(Path(str(files("fcrn_mobile").joinpath(f"data/sample/rgb/{scene}.jpg"))))
            rows.append(screens(show(photo, runtime.predict(photo))))
    picture = Image.new("RGB", (rows[0].width, sum(row.height for row in rows) + GAP * (len(rows) - 1)), "white")
    for index, row in enumerate(rows):
        picture.paste(row, (0, index * (row.height + GAP)))
    save(picture.quantize(256, dither=Image.Dither.FLOYDSTEINBERG), "docs/hud.png")
    save(icon(), "DepthDemo/Assets.xcassets/AppIcon.appiconset/icon.png")


def save(picture: Image.Image, name: str) -> None:
    """Below the folder of the demo; says where."""
    path = IOS_DEMO / name
    path.parent.mkdir(exist_ok=True)
    picture.save(path, optimize=True)
    print(f"{path}  {picture.width}×{picture.height}")


if __name__ == "__main__":
    main()
