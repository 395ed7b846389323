"""The form in which a lead designs an audit; it says at once what the design would take."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from curation_app.pages.opening import on_open
from curation_app.work.audit_plan import checked_design
from curation_app.work.audit_words import STRATA_WORDS, describe_plan
from curation_app.work.workbench import Workbench
from schemas.errors import PolysceneError

_ANY = ""
_PURPOSES = [
    ("Measure with an interval of a given width", "precision"),
    ("Look at a given number of rows", "sample_size"),
    ("Accept or reject the version", "acceptance"),
]


class AuditForm:
    """Inputs of a design; `plan` shows in words what it would take.

    The rates and widths are in percent, as people say them.
    """

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self.purpose = gr.Radio(
            label="What do you want to know?",
            choices=_PURPOSES,
            value="precision",
            elem_id="audit-purpose",
        )
        with gr.Row():
            self.half_width = _percent("Interval of ± percentage points", 2.0)
            self.expected = _percent("Defect rate expected, %", 5.0)
            self.num = _count("Rows to look at", 300, visible=False)
            self.good = _percent("Good enough: defect rate, %", 2.0, visible=False)
            self.bad = _percent("Too bad: defect rate, %", 5.0, visible=False)
            self.alpha = _percent("Good versions rejected at most, %", 5.0, visible=False)
            self.beta = _percent("Bad versions accepted at most, %", 10.0, visible=False)
        with gr.Row():
            self.strata = gr.Dropdown(
                label="Draw and report by",
                choices=[(words, key) for key, words in STRATA_WORDS.items()],
                value="none",
            )
            self.floor = _count("Rows per stratum at least", 2, minimum=0)
            self.language = gr.Dropdown(
                label="Only language", choices=self._choices("language"), value=_ANY
            )
            self.task = gr.Dropdown(
                label="Only task", choices=self._choices("task_type"), value=_ANY
            )
            self.modality = gr.Dropdown(
                label="Only modality", choices=self._choices("modality"), value=_ANY
            )
        with gr.Row():
            self.overlap = _count("Reviewers per row", 1)
            self.num_seeds = _count("Planted defects", 20, minimum=0)
            self.seed = _count("Seed of the draw", 0, minimum=0)
            self.blind = gr.Checkbox(
                label="Blind: hide scores and other people's verdicts until the own one", value=True
            )
            self.edits = gr.Checkbox(label="An edited row counts as a defect", value=True)
        self.plan = gr.Textbox(
            label="What this takes", interactive=False, lines=3, max_lines=8, elem_id="audit-plan"
        )
        shown = [self.half_width, self.expected, self.num]
        shown += [self.good, self.bad, self.alpha, self.beta]
        self.purpose.change(self._show, self.purpose, shown, api_visibility="private", queue=False)
        gr.on(
            [field.change for field in self.inputs],
            self._plan,
            self.inputs,
            self.plan,
            api_visibility="private",
            show_progress="hidden",
            trigger_mode="always_last",
        )
        on_open(lambda: self._plan(*DEFAULTS), self.plan)

    @property
    def inputs(self) -> list[Any]:
        """In the order that `design` takes their values."""
        return [
            *(self.purpose, self.half_width, self.expected, self.num),
            *(self.good, self.bad, self.alpha, self.beta),
            *(self.strata, self.floor, self.language, self.task, self.modality),
            *(self.overlap, self.num_seeds, self.seed, self.blind, self.edits),
        ]

    def start(
        self,
        button: gr.Button,
        title: gr.Textbox,
        act: Callable[..., Any],
        outputs: list[Any],
    ) -> None:
        """Has a button call `act(request, title, *values)`."""
        button.click(act, [title, *self.inputs], outputs, api_visibility="private")

    def _plan(self, *given: Any) -> str:
        try:
            design = make_design("Plan", *given)
            return "\n".join(describe_plan(design, self._bench.audits.plan(design)))
        except PolysceneError as exc:
            return str(exc)

    def _show(self, purpose: str) -> list[Any]:
        of_purpose = ["precision", "precision", "sample_size", *["acceptance"] * 4]
        return [gr.update(visible=purpose == wanted) for wanted in of_purpose]

    def _choices(self, key: str) -> list[tuple[str, str]]:
        counts = self._bench.dataset.counts(key)
        return [("any", _ANY), *((f"{code} ({num:,})", code) for code, num in counts.items())]


#: What the form shows when it is opened.
DEFAULTS: tuple[Any, ...] = (
    *("precision", 2.0, 5.0, 300, 2.0, 5.0, 5.0, 10.0),
    *("none", 2, _ANY, _ANY, _ANY, 1, 20, 0, True, True),
)


def make_design(
    title: str,
    purpose: str,
    half_width: float | None,
    expected: float | None,
    num: float | None,
    good: float | None,
    bad: float | None,
    alpha: float | None,
    beta: float | None,
    strata: str,
    floor: float | None,
    language: str,
    task: str,
    modality: str,
    overlap: float | None,
    num_seeds: float | None,
    seed: float | None,
    is_blind: bool,
    edits_are_defects: bool,
) -> Any:
    """The design that the form's values make.

    Raises:
        AuditError: A value is missing or out of bounds; says which.
    """
    purposes: dict[str, dict[str, Any]] = {
        "precision": {"half_width": _share(half_width), "expected_rate": _share(expected)},
        "sample_size": {"num": num},
        "acceptance": {
            "good_rate": _share(good),
            "bad_rate": _share(bad),
            "alpha": _share(alpha),
            "beta": _share(beta),
        },
    }
    return checked_design(
        {
            "title": " ".join(title.split()),
            "purpose": {"kind": purpose, **purposes.get(purpose, {})},
            "population": {
                "language": language or None,
                "task_type": task or None,
                "modality": modality or None,
            },
            "strata": strata,
            "min_per_stratum": floor,
            "seed": seed,
            "overlap": overlap,
            "is_blind": is_blind,
            "num_seeds": num_seeds,
            "edits_are_defects": edits_are_defects,
        }
    )


def _share(percent: float | None) -> float | None:
    return None if percent is None else percent / 100


def _percent(label: str, value: float, *, visible: bool = True) -> gr.Number:
    return gr.Number(
        label=label, value=value, minimum=0, maximum=100, step=0.5, visible=visible, min_width=140
    )


def _count(label: str, value: int, *, minimum: int = 1, visible: bool = True) -> gr.Number:
    return gr.Number(
        label=label, value=value, minimum=minimum, precision=0, visible=visible, min_width=140
    )
