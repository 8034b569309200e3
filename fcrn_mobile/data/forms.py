"""The forms of data that commands take: one record for each, from which opening, messages and defaults follow.

A new form is a file of its own that opens it (``source.py``: what a source is), and a record here.
"""

import math
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcrn_mobile.data.cameras import KITTI, NYU, SAMPLE, TUM, DataSet
from fcrn_mobile.errors import InputError

__all__ = ["DEPTH", "FORMS", "PICTURES", "STEREO", "VIDEO", "Form", "Option", "form_named", "forms_for", "reachable", "usage"]

#: What is learned from data: true depth, or the motion of a camera, or the two pictures of a stereo rig (``train --objective``), or what
#: a teacher says of pictures (``train --unlabelled``).
DEPTH, VIDEO, STEREO, PICTURES = "supervised", "video", "stereo", "pictures"


@dataclass(frozen=True)
class Option:
    """What may stand behind ``?`` in a data spec.

    Attributes:
        name: in the spec, and of the argument of what opens the form.
        placeholder: of its value, in lists of forms.
        read: the value from its text; ``ValueError`` where the text is none.
        remedy: what to give instead then.
        missing: what a spec without it doesn't say, and what to add; empty where it may be left out.
    """

    name: str
    placeholder: str
    read: Callable[[str], Any]
    remedy: str = ""
    missing: str = ""

    def value(self, text: str, spec: str) -> Any:
        """The value of the option in a spec.

        Raises:
            InputError: the text is none.
        """
        try:
            return self.read(text)
        except ValueError as error:
            raise InputError(f"{self.name} '{text}' in '{spec}': {self.remedy}") from error


@dataclass(frozen=True)
class Form:
    """One kind of data.

    Attributes:
        name: in front of the colon of a data spec.
        opens: ``module:function`` in this folder, imported when it is asked for, for h5py and SciPy take their time. It takes the path and
            the options by their names, and gives a source, of ``Sample`` or of ``Views`` as the objective asks for.
        options: that it knows.
        objective: what is learned from it.
        parts: behind ``#``, besides train and val.
        has_path: whether the spec has a path.
        data_set: that it holds, if that is one.
        protocol: that its depth is scored under in publications, one of ``evaluation.metrics.PROTOCOLS``.
        remark: for lists of forms.
    """

    name: str
    opens: str
    options: tuple[Option, ...] = ()
    objective: str = DEPTH
    parts: tuple[str, ...] = ()
    has_path: bool = True
    data_set: DataSet | None = None
    protocol: str = "eigen"
    remark: str = ""

    @property
    def allowed(self) -> tuple[Option, ...]:
        """Its options, and that of the camera which all data with depth have."""
        return (*self.options, _FOCAL) if self.objective == DEPTH else self.options

    @property
    def use(self) -> str:
        """The option of ``train`` that it is for."""
        return "--unlabelled" if self.objective == PICTURES else f"--objective {self.objective}"

    @property
    def usage(self) -> str:
        """As lists of forms show it: ``folder:PATH[?scale=UNITS_PER_METRE]``."""
        needed, others = (
            "&".join(f"{o.name}={o.placeholder}" for o in self.options if bool(o.missing) == needed) for needed in (True, False)
        )
        text = f"{self.name}{':PATH' if self.has_path else ''}{'?' if needed else ''}{needed}"
        return text + (f"[{'&' if needed else '?'}{others}]" if others else "") + (f" ({self.remark})" if self.remark else "")

    def open(self, path: Path | None, options: dict[str, Any]) -> Any:
        """The source at a path.

        Raises:
            InputError: as of what opens it.
        """
        opener = pkgutil.resolve_name(f"fcrn_mobile.data.{self.opens}")
        return opener(path, **options) if self.has_path else opener(**options)


def _positive(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise ValueError(text)
    return value


def _whole(text: str) -> int:
    value = _positive(text)
    if value != int(value):
        raise ValueError(text)
    return int(value)


def reachable(text: Path | str) -> Path:
    """A path that the system can look at; that nothing is there is for its form to say.

    Raises:
        InputError: it cannot.
    """
    try:
        Path(text).stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"cannot open {str(text)!r}: {reason}") from error
    return Path(text)


_SCALE = Option("scale", "UNITS_PER_METRE", _positive, "give depth units per metre, a positive number such as 1000")
_STEP = Option("step", "FRAMES", _whole, "give a whole number of frames, such as 1")
_PIXELS = "give pixels, a positive number"
_FX = Option(
    "fx", "PIXELS", _positive, _PIXELS, "what camera took it: add ?fx=PIXELS, its focal length (&fy=, &cx= and &cy= too, if known)"
)
_CAMERA = (_FX, *(Option(name, "", _positive, _PIXELS) for name in ("fy", "cx", "cy")))
#: Of data with depth; nothing but ``spec`` reads it.
_FOCAL = Option("fx", "PIXELS", _positive, _PIXELS)
_BASELINE = Option("baseline", "METRES", _positive, "give metres, such as 0.12", "how far apart the cameras are: add &baseline=METRES")
_DIFFERENCE = Option("max_difference", "SECONDS", _positive, "give seconds, a positive number such as 0.02")

#: By objective and name.
FORMS: dict[tuple[str, str], Form] = {
    (form.objective, form.name): form
    for form in (
        Form("sample", "folder:open_sample", has_path=False, data_set=SAMPLE),
        Form("folder", "folder:FolderSource", (_SCALE,)),
        Form("nyu-mat", "nyu_mat:NyuMat", (Option("splits", "FILE", reachable),), parts=("test",), data_set=NYU),
        Form("nyu-h5", "nyu_h5:H5Frames", data_set=NYU),
        Form("csv", "csv_pairs:open_csv"),
        Form("list", "file_list:open_list", (Option("root", "FOLDER", reachable), _SCALE)),
        Form("kitti", "kitti:open_kitti", data_set=KITTI, protocol="garg"),
        Form("tum", "tum:open_tum", (_DIFFERENCE,), data_set=TUM),
        Form("frames", "frames:open_frames", (*_CAMERA, _STEP), VIDEO, remark="a folder of pictures or a video"),
        Form("kitti", "kitti_views:open_kitti_triplets", (_STEP,), VIDEO),
        Form("stereo", "stereo:open_stereo", (*_CAMERA, _BASELINE), STEREO, remark="left/ and right/"),
        Form("kitti", "kitti_views:open_kitti_stereo", (), STEREO),
        Form("images", "pictures:open_pictures", (_STEP,), PICTURES, remark="a folder, .zip or list of pictures, or a video"),
    )
}


def forms_for(objective: str) -> list[Form]:
    """The forms that an objective learns from."""
    return [form for form in FORMS.values() if form.objective == objective]


def form_named(name: str) -> Form | None:
    """The form of a name, that with depth if there are several."""
    return next((form for form in FORMS.values() if form.name == name), None)


def usage(objective: str) -> str:
    """All forms that an objective learns from, as messages list them."""
    forms = forms_for(objective)
    listed = ", ".join(form.usage for form in forms)
    if objective != DEPTH:
        return listed
    parts = ", ".join(["each with [#train|#val]", *(f"{form.name} with [#{p}] too" for form in forms for p in form.parts)])
    return f"{listed}; {parts}; each with {_FOCAL.name}={_FOCAL.placeholder} behind ? too"
