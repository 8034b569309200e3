"""Draw the pictures of the README from what DepthCore computes of sample frames, and the icon; not screenshots of a device.

The built-in checkpoint is exported in half precision, and for the comparison with weights of 8 bits, and run by the MIL runtime;
``depth-picture`` turns depth maps into colours, the lines of the screen and what a tap reads, as the app does. Only their places on the
picture are drawn here. Needs Swift (``make ios-check``).

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
from fcrn_mobile.runtimes import Runtime, open_runtime

IOS_DEMO = Path(__file__).resolve().parent.parent
#: Where check_linux.sh keeps its files, seen from here and from the root file system that Swift runs in.
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
BUILD = Path(os.environ.get("FCRN_SWIFT_BUILD", CACHE / "fcrn-mobile/swift-build"))
SCENES = ("room_03", "room_17")
PRECISION = "fp16"
WIDTH = 400
GAP = 12
FONT = ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), 12)
#: What the comparison is of; times are dashes, as no device has run it.
COMPARED = Recipe(name="int8", precision="int8")
NAMES = (f"A builtin, {PRECISION}: – ms", f"B builtin, {COMPARED.precision}: – ms")
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


@dataclass(frozen=True)
class Compared:
    """What the app shows of two models' depth of one frame.

    Attributes:
        photo: upright, as the models saw it.
        pictures: of ``first``, ``second`` and ``difference``, and a legend each of ``depths`` and ``differences``.
        lines: below the pictures, but for rate and times, which only a device has.
        ends: of the legend of differences.
        readings: at ``TAPPED``, of the first, the second, and their difference.
    """

    photo: Image.Image
    pictures: dict[str, Image.Image]
    lines: list[str]
    ends: list[str]
    readings: list[str]


def show(photo: NDArray[np.uint8], metres: NDArray[np.float32]) -> Shown:
    """Hand a depth map to DepthCore.

    Args:
        photo: H×W×3.
        metres: h×w.
    """
    *lines, distance = depth_picture("", [metres], f"{PRECISION} $BUILD/colours.ppm")
    return Shown(Image.fromarray(photo), drawn("colours.ppm"), lines, distance)


def compare(photo: NDArray[np.uint8], first: NDArray[np.float32], second: NDArray[np.float32]) -> Compared:
    """Hand two models' depth maps of one size, h×w in metres, to DepthCore."""
    lines = depth_picture("compare", [first, second], "$BUILD/compared")
    pictures = {name: drawn(f"compared-{name}.ppm") for name in ("first", "second", "difference", "depths", "differences")}
    return Compared(Image.fromarray(photo), pictures, lines[:-5], lines[-5:-3], lines[-3:])


def depth_picture(verb: str, maps: list[NDArray[np.float32]], rest: str) -> list[str]:
    """What ``depth-picture`` says of depth maps of one size."""
    height, width = maps[0].shape
    for index, metres in enumerate(maps):
        (BUILD / f"metres{index}.f32").write_bytes(metres.astype("<f4").tobytes())
    names = " ".join(f"$BUILD/metres{index}.f32" for index in range(len(maps)))
    place = f"{width} {height} {TAPPED[0] * width} {TAPPED[1] * height}"
    command = f"swift run --package-path $DEMO/DepthCore --scratch-path $BUILD -j 1 depth-picture {verb} {names} {place} {rest}"
    script = IOS_DEMO / "scripts/check_linux.sh"
    result = subprocess.run(["bash", str(script), "bash", "-c", command], check=True, stdout=subprocess.PIPE, text=True)
    return result.stdout.splitlines()


def drawn(name: str) -> Image.Image:
    """A picture that ``depth-picture`` wrote."""
    with Image.open(BUILD / name) as picture:
        return picture.convert("RGB")


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


def comparison(compared: Compared) -> Image.Image:
    """Both models' depth side by side, the photo and the difference below, then the legends and the lines."""
    first = compared.pictures["first"]
    width, height = size = (WIDTH, WIDTH * first.height // first.width)
    panes = [compared.pictures["first"], compared.pictures["second"], compared.photo, compared.pictures["difference"]]
    readings = (*compared.readings[:2], "", compared.readings[2])
    screen = Image.new("RGB", (2 * width + GAP, 2 * height + GAP + 30 + 18 * (len(NAMES) + len(compared.lines))), "white")
    for index, (pane, reading) in enumerate(zip(panes, readings, strict=True)):
        picture = pane.resize(size, Image.Resampling.BICUBIC if pane is compared.photo else Image.Resampling.BILINEAR)
        if reading:
            panel(picture, (int(TAPPED[0] * width), int(TAPPED[1] * height)), [reading], centred=True)
        screen.paste(picture, (index % 2 * (width + GAP), index // 2 * (height + GAP)))
    draw, y = ImageDraw.Draw(screen), 2 * height + GAP + 8
    ends = (f"B nearer {compared.ends[0]}", f"{compared.ends[1]} farther")
    left, right = (int(draw.textlength(text, FONT)) + 8 for text in ends)
    screen.paste(compared.pictures["differences"].resize((screen.width - left - right - 16, 12)), (left + 8, y))
    draw.text((8, y - 1), ends[0], "black", FONT)
    draw.text((screen.width - right, y - 1), ends[1], "black", FONT)
    for index, line in enumerate((*NAMES, *compared.lines)):
        draw.text((8, y + 22 + 18 * index), line, "black", FONT)
    return screen


def panel(picture: Image.Image, place: tuple[int, int], lines: list[str], centred: bool = False) -> None:
    """Text on a blurred, lightened ground, as the app's material has it."""
    text = "\n".join(lines)
    left, top, right, bottom = ImageDraw.Draw(picture).multiline_textbbox((0, 0), text, FONT)
    width, height = int(right - left) + 16, int(bottom - top) + 12
    x, y = (place[0] - width // 2, place[1] - height // 2) if centred else place
    box = (x, y, x + width, y + height)
    ground = Image.blend(picture.crop(box).filter(ImageFilter.GaussianBlur(8)), Image.new("RGB", (width, height), "white"), 0.6)
    mask = Image.new("L", ground.size, 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, width - 1, height - 1), 8, fill=255)
    picture.paste(ground, box, mask)
    ImageDraw.Draw(picture).multiline_text((x + 8 - left, y + 6 - top), text, "black", FONT)


def icon() -> Image.Image:
    """A corridor in the colours of depth: near at the rim, far in the middle."""
    across = np.abs(np.linspace(-1, 1, 1024))
    share = 1 - np.maximum(across[:, None], across)
    steps = np.floor(share * 8) / 8
    return Image.fromarray((depth_colours()(steps)[..., :3] * 255).astype(np.uint8))


def runtime(recipe: Recipe, folder: Path) -> Runtime:
    """The built-in checkpoint, exported by a recipe."""
    package = folder / f"{recipe.precision}.mlpackage"
    export(load_checkpoint("builtin"), recipe, package)
    return open_runtime(str(package), "mil", "float16")


def main() -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        first, second = (runtime(recipe, Path(folder)) for recipe in (Recipe(precision=PRECISION), COMPARED))
        for scene in SCENES:
            photo = read_image(Path(str(files("fcrn_mobile").joinpath(f"data/sample/rgb/{scene}.jpg"))))
            rows.append(screens(show(photo, first.predict(photo))))
        screen = comparison(compare(photo, first.predict(photo), second.predict(photo)))
    picture = Image.new("RGB", (rows[0].width, sum(row.height for row in rows) + GAP * (len(rows) - 1)), "white")
    for index, row in enumerate(rows):
        picture.paste(row, (0, index * (row.height + GAP)))
    save(picture.quantize(256, dither=Image.Dither.FLOYDSTEINBERG), "docs/hud.png")
    save(screen, "docs/compare.png")
    save(icon(), "DepthDemo/Assets.xcassets/AppIcon.appiconset/icon.png")


def save(picture: Image.Image, name: str) -> None:
    """Below the folder of the demo; says where."""
    path = IOS_DEMO / name
    path.parent.mkdir(exist_ok=True)
    picture.save(path, optimize=True)
    print(f"{path}  {picture.width}×{picture.height}")


if __name__ == "__main__":
    main()
