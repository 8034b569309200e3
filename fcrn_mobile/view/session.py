"""What the page asks for, answered as parts of a page; no server is needed for it."""

from collections import deque
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from fcrn_mobile.conversion.export import artefact_size
from fcrn_mobile.data.cameras import TrainingCamera
from fcrn_mobile.data.exif_focal import exif_focal_px
from fcrn_mobile.data.grammar import portable
from fcrn_mobile.data.images import decode_image
from fcrn_mobile.data.pictures import unknown_depth
from fcrn_mobile.data.source import Sample, Source, camera_of, evenly
from fcrn_mobile.doctor.diagnosis import BASIS as HAZARDS
from fcrn_mobile.errors import InputError
from fcrn_mobile.latency.placement import BASIS as PLACEMENT
from fcrn_mobile.mil.arithmetic import FLOAT16, Arithmetic
from fcrn_mobile.mil.depth_program import DepthProgram
from fcrn_mobile.mil.program import Program
from fcrn_mobile.package.metadata import NO_CONFIGS, ModelConfigs
from fcrn_mobile.package.reading import SUFFIXES
from fcrn_mobile.report.strips import strips
from fcrn_mobile.report.templating import template
from fcrn_mobile.runtimes.backends import is_on_device
from fcrn_mobile.runtimes.runtime import distinct_names, engine_of
from fcrn_mobile.validation.attribution import Attribution, attribute
from fcrn_mobile.validation.float_program import float_program
from fcrn_mobile.view.graph import read_package_graph
from fcrn_mobile.view.lineup import Lineup, Sight, point_cloud

__all__ = ["Session"]

_TEMPLATES = Path(__file__).with_name("templates")
#: Frames of the data that can be chosen on the page, spread evenly.
_MOST_FRAMES = 200
#: What was seen that is kept for a point cloud or an attribution.
_MOST_SIGHTS = 8
#: Times of a model that its median is of.
_MOST_TIMES = 50
#: Degrees, where no focal length is known: about that of a phone's main camera held upright.
_FIELD_OF_VIEW = 60.0


@dataclass
class Session:
    """Models, data, and what was seen so far.

    Attributes:
        lineup: the models.
        source: frames to choose from.
        data: their spec.
        models: the models as they were given, the reference first.
        configs: their model configs.
        arithmetic: of packages whose drift is attributed.
        size: of pictures, of packages that take several.
    """

    lineup: Lineup
    source: Source
    data: str
    models: tuple[str, ...]
    configs: ModelConfigs = NO_CONFIGS
    arithmetic: Arithmetic = FLOAT16
    size: tuple[int, int] | None = None
    _sights: dict[int, Sight] = field(default_factory=dict)
    _programs: dict[int, tuple[Program, Program]] = field(default_factory=dict)
    _count: int = 0

    @cached_property
    def names(self) -> list[str]:
        """What the models are called, the reference first."""
        runtimes = self.lineup.models
        return distinct_names([each.name for each in runtimes], [each.path for each in runtimes])

    @cached_property
    def _times(self) -> list[deque[float]]:
        return [deque(maxlen=_MOST_TIMES) for _ in self.lineup.models]

    def page(self) -> str:
        """The page, before any picture."""
        frames = evenly(len(self.source), _MOST_FRAMES)
        packages = [(index, self.names[index]) for index, model in enumerate(self.models) if Path(model).suffix in SUFFIXES]
        return self._rendered(
            "view.html",
            data=portable(self.data),
            frames=[(index, self.source.names[index]) for index in frames],
            total=len(self.source),
            packages=packages,
            on_device=any(is_on_device(model.backend) for model in self.lineup.models),
            field_of_view=_FIELD_OF_VIEW,
        )

    def frame(self, index: int) -> str:
        """A frame of the data, seen by all models.

        Raises:
            InputError: no such frame, or one that cannot be read.
        """
        if not 0 <= index < len(self.source):
            raise InputError(f"there is no frame {index}: '{self.data}' has {len(self.source)}")
        return self._look(self.source[index], camera_of(self.source))

    def picture(self, data: bytes, name: str) -> str:
        """A picture of the user's, seen by all models.

        Args:
            data: its file.
            name: what it is called.

        Raises:
            InputError: no picture.
        """
        image = decode_image(data, name)
        camera = TrainingCamera(f"{name}, by EXIF FocalLengthIn35mmFilm", exif_focal_px(data), image.shape[1])
        return self._look(Sample(image, unknown_depth(image), name), camera)

    def cloud(self, sight: int, model: int, field_of_view: float) -> bytes:
        """A point cloud of what one model saw, as PLY.

        Raises:
            InputError: seen too long ago, or without a place in space.
        """
        return point_cloud(self._sight(sight), self._model(model), field_of_view, self.lineup)

    def graph(self, model: int, sight: int | None = None) -> str:
        """A package's operators; with a sight, their part in the drift on that picture, which takes a while.

        Raises:
            InputError: no package, or operators that do not compare with the reference's.
        """
        path = self.models[self._model(model)]
        if Path(path).suffix not in SUFFIXES:
            raise InputError(f"only an .mlpackage or .mlmodel shows its operators, and '{path}' is none")
        picture = None if sight is None else self._sight(sight)
        attribution = None if picture is None else self._attribution(model, picture)
        graph = read_package_graph(Path(path), self.configs.of(path), attribution)
        return self._rendered(
            "graph.html",
            graph=graph,
            model=model,
            name=self.names[model],
            reference=self.names[0] if model else None,
            picture=picture.scene.name if picture else "",
            placement=PLACEMENT,
            hazards=HAZARDS,
        )

    def _look(self, sample: Sample, camera: TrainingCamera) -> str:
        sight = self.lineup.look(sample, camera)
        self._count += 1
        self._sights[self._count] = sight
        self._sights.pop(self._count - _MOST_SIGHTS, None)
        rows: list[dict[str, Any]] = []
        drifts = (None, *sight.scene.drifts)
        for name, model, times, ms, drift in zip(self.names, self.lineup.models, self._times, sight.times_ms, drifts, strict=True):
            if self._count > 1:  # the first prediction may compile or allocate
                times.append(ms)
            row = {"name": name, "engine": engine_of(model), "megabytes": artefact_size(model.path) / 1e6, "drift": drift, "ms": ms}
            rows.append(row | {"median": median(times) if times else None, "runs": len(times)})
        return self._rendered(
            "sight.html",
            number=self._count,
            strips=strips([sight.scene], self.names[1:], self.lineup.depth),
            reference=self.names[0],
            focus=str(sight.focus),
            rows=rows,
            field_of_view=sight.field_of_view,
        )

    def _attribution(self, model: int, sight: Sight) -> Attribution:
        """Of a candidate's drift on one picture; its float program is made once."""
        if not model:
            raise InputError("the first model is the reference: give its float network first, as in fcrn-mobile view builtin PACKAGE")
        if model not in self._programs:
            path, reference = self.models[model], self.models[0]
            config, of_reference = map(self.configs.of, (path, reference))
            program = DepthProgram.load(path, self.arithmetic, model_config=config, size=self.size)
            self._programs[model] = float_program(reference, program, of_reference), program
        return attribute(*self._programs[model], [sight.scene.image])

    def _sight(self, number: int) -> Sight:
        if number not in self._sights:
            raise InputError("that picture was seen too long ago: let the models see it once more")
        return self._sights[number]

    def _model(self, index: int) -> int:
        if not 0 <= index < len(self.models):
            raise InputError(f"there is no model {index}: {len(self.models)} were given")
        return index

    def _rendered(self, file: str, **values: Any) -> str:
        return template(file, _TEMPLATES).render(names=self.names, depth=self.lineup.depth, **values)
