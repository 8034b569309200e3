"""Runs in an MLflow store: an SQLite file beside the runs, or any tracking server's address."""

import json
import logging
import os
import socket
import sqlite3
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lightning.pytorch.loggers import MLFlowLogger
from lightning.pytorch.utilities import rank_zero_only

from fcrn_mobile.errors import InputError, brief
from fcrn_mobile.runs.folder import TRACKED

__all__ = ["TRACKER", "MLflowRun", "check_track", "log", "open_run", "store_uri"]

TRACKER = "mlflow"
_SQLITE = "sqlite:///"

log = logging.getLogger(__name__)


class MLflowRun(MLFlowLogger):
    """One run of a store. When the store fails, training goes on without it, and says so once.

    MLflow never changes a parameter: a setting that a resumed run has changed becomes a tag ``resumed/<name>``.
    """

    lost = False

    def __init__(self, uri: str, **settings: Any) -> None:
        super().__init__(tracking_uri=uri, **settings)
        self.uri = uri

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        values = params if isinstance(params, dict) else vars(params)
        with self._unless_lost():
            parameters = self.experiment.get_run(self.run_id).data.params
            for key, value in values.items():
                text = str(value)
                if key not in parameters:
                    self.experiment.log_param(self.run_id, key, text)
                elif parameters[key] != text:
                    self.experiment.set_tag(self.run_id, f"resumed/{key}", text)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if not self.lost:
            with self._unless_lost():
                super().log_metrics(metrics, step)

    @rank_zero_only
    def add_file(self, path: Path, folder: str) -> None:
        """Copy a file into the run's artifacts, replacing one of its name."""
        if not self.lost:
            with self._unless_lost():
                self.experiment.log_artifact(self.run_id, str(path), folder)

    @rank_zero_only
    def finalize(self, status: str = "success") -> None:
        if not self.lost:
            with self._unless_lost():
                super().finalize(status)

    @contextmanager
    def _unless_lost(self) -> Iterator[None]:
        from mlflow.exceptions import MlflowException

        try:
            yield
        except (MlflowException, OSError) as error:
            self.lost = True
            reason = brief(error, 200)
            log.warning("MLflow store '%s' fails (%s): the run goes on without it; --resume will log there again", self.uri, reason)


def check_track(track: str, folder: Path) -> None:
    """Refuse a ``--track`` that cannot work, before any training is done for it.

    Args:
        track: ``mlflow`` or ``mlflow:URI``.
        folder: of the run.

    Raises:
        InputError: not of that form, mlflow not installed, the store cannot be opened or its experiment was deleted.
    """
    uri = store_uri(track, folder)
    try:
        _quiet_mlflow()
    except ImportError as error:
        raise InputError("--track mlflow needs MLflow: install it with pip install 'fcrn-mobile[tracking]'") from error
    if uri.startswith(_SQLITE):
        _check_sqlite(Path(uri.removeprefix(_SQLITE)))
    elif urlsplit(uri).scheme in ("http", "https"):
        _check_server(uri)
    _check_experiment(uri, _experiment(folder))


def store_uri(track: str, folder: Path) -> str:
    """The store's address: that in ``track``, or ``mlflow.db`` beside the run's folder. Paths become absolute.

    Raises:
        InputError: neither ``mlflow`` nor ``mlflow:URI``.
    """
    kind, _, uri = track.partition(":")
    if kind != TRACKER or (":" in track and "://" not in uri):
        raise InputError(f"unknown --track '{track}': use mlflow, or mlflow:URI such as mlflow:sqlite:///runs/mlflow.db")
    if not uri:
        return f"{_SQLITE}{folder.absolute().parent / 'mlflow.db'}"
    return f"{_SQLITE}{Path(uri.removeprefix(_SQLITE)).absolute()}" if uri.startswith(_SQLITE) else uri


def open_run(track: str, folder: Path) -> MLflowRun:
    """Start a run named after ``folder`` in the experiment named after its parent, or continue the run recorded in ``folder``.

    Artifacts of an SQLite store go to ``mlartifacts`` beside its file. Of several processes only the first calls this.

    Raises:
        InputError: the store cannot be opened or its experiment was deleted.
    """
    check_track(track, folder)
    from mlflow.exceptions import MlflowException

    uri, run_id = _recorded(folder) or (store_uri(track, folder), None)
    experiment = _experiment(folder)
    artifacts = (Path(uri.removeprefix(_SQLITE)).parent / "mlartifacts").as_uri() if uri.startswith(_SQLITE) else None
    name = folder.absolute().name
    run = MLflowRun(uri, experiment_name=experiment, run_name=name, run_id=run_id, artifact_location=artifacts)
    try:
        if run_id:
            run.experiment.update_run(run_id, status="RUNNING")
        (folder / TRACKED).write_text(json.dumps({"uri": uri, "run_id": run.run_id}, indent=2) + "\n", encoding="utf-8")
    except MlflowException as error:
        raise InputError(f"MLflow store '{uri}' refuses run '{folder.name}' of experiment '{experiment}' ({error.message})") from error
    return run


def _experiment(folder: Path) -> str:
    return folder.absolute().parent.name or "fcrn-mobile"


def _recorded(folder: Path) -> tuple[str, str] | None:
    """Store and run that a folder belongs to."""
    path = folder / TRACKED
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return record["uri"], record["run_id"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"'{path}' is damaged ({error}): delete it to track the rest of this run as another run") from error


def _quiet_mlflow() -> None:
    """Import mlflow with its telemetry off and its notes on database tables and git off the user's screen."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import mlflow  # noqa: F401

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _check_sqlite(path: Path) -> None:
    """MLflow itself retries for minutes what will never open."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as store:
            store.execute("BEGIN IMMEDIATE")
            store.rollback()
    except (OSError, sqlite3.Error) as error:
        raise InputError(f"cannot open the MLflow store '{path}' ({error}): give a writable --track mlflow:{_SQLITE}FILE") from error


def _check_server(uri: str) -> None:
    parts = urlsplit(uri)
    try:
        socket.create_connection((parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise InputError(f"no MLflow server answers at '{uri}' ({error}): start it, or use --track mlflow") from error


def _check_experiment(uri: str, name: str) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        experiment = MlflowClient(uri).get_experiment_by_name(name)
    except MlflowException as error:
        raise InputError(f"cannot open the MLflow store '{uri}' ({' '.join(str(error).split())[:200]}): give another --track") from error
    if experiment and experiment.lifecycle_stage == "deleted":
        raise InputError(
            f"experiment '{name}' of the MLflow store '{uri}' was deleted: restore it with 'mlflow experiments restore', "
            "or train into another folder"
        )
