"""A model in a process of its own: its peak memory is its own, and nothing that ran before it warms or disturbs it."""

import gc
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

from fcrn_mobile.errors import InputError
from fcrn_mobile.latency.stages import end_to_end, model_only, sample_photo
from fcrn_mobile.runtimes import Runtime

__all__ = ["Open", "Opened", "Worker", "WorkerError"]

Open = Callable[[], Runtime]


class WorkerError(RuntimeError):
    """An unexpected exception of the process that measures: its type and message, and its traceback as a note.

    Exceptions themselves do not travel: not every library's can be pickled.
    """

    def __init__(self, text: str, trace: str) -> None:
        super().__init__(text, trace)
        self.add_note(trace)

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Opened:
    """What a worker knows of its model once it is open.

    Attributes:
        name, backend, metadata: of the runtime.
        compute_units: that it may use.
        arithmetic: simulated by the mil backend; None elsewhere.
        load_ms: time to open it again, libraries imported and its file in the system's cache.
    """

    name: str
    backend: str
    metadata: dict[str, str]
    compute_units: str
    arithmetic: str | None
    load_ms: float


class Worker:
    """Opens a model in a fresh process and times predictions there; a context manager.

    Args:
        open_model: opens it; it is sent to the process, so it is a module's function or a ``partial`` of one.
        whole: time from a compressed photo to a coloured depth map.

    Raises:
        InputError: the model cannot be opened, or the process ended.
    """

    def __init__(self, open_model: Open, whole: bool = False) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, open_model, whole), daemon=True)
        self._process.start()
        theirs.close()
        try:
            self.opened: Opened = self._answer()
        except BaseException:
            self.close()
            raise

    def run(self, predictions: int) -> list[tuple[float, ...]]:
        """Predict so often; for each, the ms of its stages."""
        self._pipe.send(predictions)
        times: list[tuple[float, ...]] = self._answer()
        return times

    def totals(self, predictions: int) -> list[float]:
        """Predict so often; ms of each prediction with all its stages."""
        return [sum(stages) for stages in self.run(predictions)]

    def peak_memory(self) -> int | None:
        """Highest memory footprint of the process so far, in bytes; None where the system does not say it."""
        self._pipe.send(None)
        size: int = self._answer()
        return size

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        if self._process.is_alive():
            self._process.terminate()
        self._process.join()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _answer(self) -> Any:
        try:
            answer = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            self._process.join()
            code = self._process.exitcode
            raise InputError(f"the process that measured the model ended (exit code {code}): is there memory enough?") from error
        if isinstance(answer, BaseException):
            raise answer
        return answer


def _serve(pipe: Connection, open_model: Open, whole: bool) -> None:
    """Open the model, then answer: a number with the times of so many predictions, None with the peak of memory."""
    # An interrupt reaches the whole group; the parent answers it and ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Standard output belongs to the parent's result: what a library prints goes to standard error.
    os.dup2(2, 1)
    try:
        open_model()  # imports the libraries and brings the file into the cache; neither is the model's own time
        gc.collect()
        start = time.perf_counter()
        runtime = open_model()
        load_ms = (time.perf_counter() - start) * 1e3
        once = end_to_end(runtime, sample_photo()) if whole else model_only(runtime)
        pipe.send(
            Opened(
                name=runtime.name,
                backend=runtime.backend,
                metadata=dict(runtime.metadata),
                compute_units=getattr(runtime, "compute_units", "cpuOnly"),
                arithmetic=getattr(runtime, "arithmetic", None),
                load_ms=load_ms,
            )
        )
        while True:
            count = pipe.recv()
            pipe.send(_peak_memory() if count is None else [once() for _ in range(count)])
    except (EOFError, ConnectionError):
        pass  # the parent is done
    except InputError as error:
        pipe.send(error)
    except BaseException as error:  # whatever a backend does ends in the parent, which decides the exit code
        pipe.send(WorkerError(f"{type(error).__name__}: {error}", traceback.format_exc()))


def _peak_memory() -> int | None:
    """Bytes; None where the system does not say, as Windows."""
    status = Path("/proc/self/status")
    # Not getrusage there: Linux counts the parent's memory in a child's peak, as the child began as its copy.
    if status.is_file():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
