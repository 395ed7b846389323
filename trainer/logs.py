"""What a run records while it trains: progress lines, `log.csv`, TensorBoard events, curves."""

import csv
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import numpy as np

from schemas.errors import PolysceneError, naming

_LOG = logging.getLogger(__name__)

LOG_NAME = "log.csv"
CURVES_NAME = "curves.png"
EVENTS_NAME = "tensorboard"

#: Values of a step, in the order of every line and row, and how each is written: the loss
#: such that it reads back as the same float32.
_FORMATS = {
    "loss": ".9g",
    "learning_rate": ".6g",
    "gradient_norm": ".6g",
    "temperature": ".6g",
    "queries_per_s": ".5g",
    "tokens_per_s": ".5g",
}
_LINE_FORMATS = {
    "loss": ".4f",
    "learning_rate": ".3g",
    "gradient_norm": ".3g",
    "temperature": ".4f",
    "queries_per_s": ".1f",
    "tokens_per_s": ".0f",
}
VALUES = tuple(_FORMATS)
#: A step's row leaves the last two empty; a measurement's row leaves the others empty.
COLUMNS = ("step", *VALUES, "metric", "value")

_SMOOTHED_SHARE = 0.02
_DARK, _LIGHT = "#2166ac", "#a6c5e2"


class LogError(PolysceneError):
    """A run's log cannot be continued.

    Args:
        path: The log.
        what: What is wrong, as a clause.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        self.what = what
        super().__init__(f"{path}: {what}. Move it away, then run the same command again.")


@dataclass(frozen=True, slots=True)
class Curve:
    """One quantity over the steps, both in the order in which they were logged."""

    steps: list[int]
    values: list[float]


class RunLog:
    """Writes what a run reports, from its first step or from where it is resumed.

    Rows after `start_step` are of steps that will be taken again, so they are cut off.
    Every row is on disk when the call returns; a half row that a kill left is cut off too.

    Usage:
        with RunLog(directory, start_step, num_steps=600, line_steps=20) as log:
            log.step(1, loss=5.5, learning_rate=1e-4)
            log.measure(100, "recall@10", 0.31)

    Args:
        directory: Holds `log.csv`, `tensorboard/` and `curves.png`; None only prints lines.
        start_step: Steps already taken when the run is resumed.
        num_steps: Of the whole run, for the progress lines.
        line_steps: Steps between two progress lines, whose loss is the mean since the last.

    Raises:
        LogError: The file to be continued is not such a log.
    """

    def __init__(
        self,
        directory: Path | None,
        start_step: int = 0,
        *,
        num_steps: int | None = None,
        line_steps: int = 1,
    ) -> None:
        self.directory = directory
        self.num_steps = num_steps
        self.line_steps = line_steps
        self._last_step = start_step
        self._losses: list[float] = []
        self._measured: set[tuple[int, str]] = set()
        self._file: TextIO | None = None
        self._events: Any = None
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = self._open(directory / LOG_NAME, start_step)
            self._events = _event_writer(directory / EVENTS_NAME, start_step)

    def step(self, step: int, **values: float | None) -> None:
        """Records a training step; a value that a run does not have may be left out.

        Args:
            step: From 1; higher than the last.
            values: Some of `VALUES`.

        Raises:
            ValueError: The step was recorded already, or there is no such value.
        """
        if step <= self._last_step:
            raise ValueError(f"step must be above {self._last_step}; got {step}.")
        if unknown := sorted(set(values) - set(VALUES)):
            raise ValueError(f"values of a step are {', '.join(VALUES)}; got {unknown[0]}.")
        given = {name: float(value) for name in VALUES if (value := values.get(name)) is not None}
        self._last_step = step
        self._write({"step": str(step)} | {name: _shown(name, given[name]) for name in given})
        self._add_events(step, {f"train/{name}": value for name, value in given.items()})
        if "loss" in given:
            self._losses.append(given["loss"])
        if step % self.line_steps == 0 or step == self.num_steps:
            self._print_line(step, given)

    def measure(self, step: int, name: str, value: float) -> None:
        """Records a measurement made after a step.

        A run that is resumed from that very step measures it again: it is recorded once.

        Raises:
            ValueError: The name is not one printable line.
        """
        if not name.isprintable() or not name:
            raise ValueError(f"name must be one printable line; got {name!r}.")
        if (step, name) in self._measured:
            return
        self._measured.add((step, name))
        self._write({"step": str(step), "metric": name, "value": format(value, ".9g")})
        self._add_events(step, {f"measured/{name}": value})
        _LOG.info("%s %s=%.4f", self._at(step), name, value)

    def close(self) -> None:
        """Closes the files and draws the curves of the whole run."""
        if self._events is not None:
            self._events.close()
            self._events = None
        if self._file is None or self.directory is None:
            return
        self._file.close()
        self._file = None
        try:
            draw_curves(self.directory / LOG_NAME, self.directory / CURVES_NAME)
        except ModuleNotFoundError:
            _LOG.warning("%s is not drawn: matplotlib is not installed.", CURVES_NAME)
        except (OSError, LogError) as exc:
            # A failed plot must not lose the trained model.
            _LOG.warning("%s is not drawn: %s", CURVES_NAME, exc)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self, path: Path, start_step: int) -> TextIO:
        """The log with its rows up to `start_step`, open for the next."""
        rows = list(_read_rows(path))
        kept = [row for row in rows if int(row["step"]) <= start_step] if start_step else []
        self._measured = {(int(row["step"]), row["metric"]) for row in kept if row["metric"]}
        half = path.with_name(path.name + ".half")
        with naming(half), half.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(kept)
        half.replace(path)
        return path.open("a", encoding="utf-8", newline="")

    def _write(self, row: Mapping[str, str]) -> None:
        if self._file is not None and self.directory is not None:
            with naming(self.directory / LOG_NAME):
                csv.DictWriter(self._file, COLUMNS, lineterminator="\n").writerow(row)
                self._file.flush()

    def _add_events(self, step: int, scalars: Mapping[str, float]) -> None:
        if self._events is not None:
            for tag, value in scalars.items():
                self._events.add_scalar(tag, value, step)

    def _print_line(self, step: int, given: Mapping[str, float]) -> None:
        shown = dict(given)
        if self._losses:
            shown["loss"] = sum(self._losses) / len(self._losses)
        self._losses.clear()
        fields = (f"{name}={shown[name]:{_LINE_FORMATS[name]}}" for name in VALUES if name in shown)
        _LOG.info("%s %s", self._at(step), " ".join(fields))

    def _at(self, step: int) -> str:
        return f"step={step}" if self.num_steps is None else f"step={step}/{self.num_steps}"


def _shown(name: str, value: float) -> str:
    return format(value, _FORMATS[name])


def _event_writer(directory: Path, start_step: int) -> Any:
    """A writer of TensorBoard events that hides those after `start_step`; None without one."""
    try:
        from tensorboardX import SummaryWriter
    except Exception as exc:  # protobuf refuses to load beside another version in its own way
        reason = "is not installed" if isinstance(exc, ModuleNotFoundError) else "does not load"
        _LOG.info("no TensorBoard events: tensorboardX %s; everything is in %s.", reason, LOG_NAME)
        return None
    # The name of an event file has whole seconds; a run resumed within one needs another name.
    return SummaryWriter(
        str(directory.resolve()),
        purge_step=start_step + 1 if start_step else 0,
        flush_secs=30,
        filename_suffix=f".{os.getpid()}.{start_step}",
    )


def _read_rows(path: Path) -> Iterator[dict[str, str]]:
    """Whole rows of a log, up to the first that is not.

    Raises:
        LogError: It has other columns.
    """
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return
    # A kill may leave the last row without its end.
    lines = text.split("\n")[:-1]
    if lines and lines[0] != ",".join(COLUMNS):
        raise LogError(path, "its columns are not those of a run's log")
    for line in lines[1:]:
        row = _parse_row(line)
        if row is None:
            return
        yield row


def _parse_row(line: str) -> dict[str, str] | None:
    """A row by column; None if it is not a row of a log."""
    try:
        values = next(csv.reader([line]), [])
        row = dict(zip(COLUMNS, values, strict=True))
        int(row["step"])
        for name in (*VALUES, "value"):
            float(row[name] or 0)
    except (ValueError, csv.Error):
        return None
    return row


def read_curves(path: Path) -> dict[str, Curve]:
    """Every quantity of a `log.csv` by name: those of the steps, then the measurements.

    Raises:
        LogError: It is not such a log.
    """
    curves: dict[str, Curve] = {name: Curve([], []) for name in VALUES}
    for row in _read_rows(path):
        if row["metric"]:
            named = {row["metric"]: row["value"]}
        else:
            named = {name: row[name] for name in VALUES if row[name]}
        for name, value in named.items():
            curve = curves.setdefault(name, Curve([], []))
            curve.steps.append(int(row["step"]))
            curve.values.append(float(value))
    return {name: curve for name, curve in curves.items() if curve.steps}


def draw_curves(log: Path, picture: Path) -> None:
    """Draws loss, learning rate and measurements of a `log.csv` over the steps, as a PNG.

    Raises:
        LogError: It is not such a log.
    """
    from matplotlib.figure import Figure

    curves = read_curves(log)
    measured = {name: curve for name, curve in curves.items() if name not in VALUES}
    figure = Figure(figsize=(12, 3.6), dpi=120, layout="constrained")
    loss_axes, rate_axes, measured_axes = figure.subplots(1, 3)
    if "loss" in curves:
        _draw_loss(loss_axes, curves["loss"])
    if "learning_rate" in curves:
        rate = curves["learning_rate"]
        rate_axes.plot(rate.steps, rate.values, color=_DARK)
    for name, curve in measured.items():
        measured_axes.plot(curve.steps, curve.values, marker="o", markersize=3, label=name)
    if measured:
        legend = measured_axes.legend(fontsize=8, frameon=False)
        for text in legend.get_texts():
            text.set_parse_math(False)
    for axes, title in (
        (loss_axes, "loss (nats)"),
        (rate_axes, "learning rate"),
        (measured_axes, "measured while training"),
    ):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("step", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture)


def _draw_loss(axes: Any, loss: Curve) -> None:
    """Every step's loss in light, a running mean of it in dark."""
    axes.plot(loss.steps, loss.values, color=_LIGHT, linewidth=0.8)
    axes.plot(loss.steps, running_mean(loss.values), color=_DARK)


def running_mean(values: Sequence[float], share: float = _SMOOTHED_SHARE) -> list[float]:
    """Mean of each value and those before it within a share of all; skips what is not finite."""
    width = max(1, round(len(values) * share))
    value_N = np.asarray(values, dtype=np.float64)
    is_finite_N = np.isfinite(value_N)
    sums, counts = (
        np.concatenate([np.zeros(width), np.cumsum(each)])
        for each in (np.where(is_finite_N, value_N, 0.0), is_finite_N)
    )
    sum_N, count_N = sums[width:] - sums[:-width], counts[width:] - counts[:-width]
    mean_N = np.full(len(values), np.nan)
    return np.divide(sum_N, count_N, out=mean_N, where=count_N > 0).tolist()
