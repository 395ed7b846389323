"""Says how a judge judged: its agreement with the teacher, its choices, what is wrong with it."""

from rich.console import Console
from rich.table import Table

from builder.gates_config import GatesConfig
from builder.generate.agreement import print_agreement
from builder.ledger.choices import ChoiceReport
from builder.ledger.gates import choices_made, judge_problems
from builder.ledger.ledger import Ledger


def print_judge(ledger: Ledger, gates: GatesConfig, console: Console) -> None:
    """Prints agreement by language, choices by position, and a line where a judge is of no use."""
    print_agreement(ledger, console)
    model, report = choices_made(ledger)
    if report.num:
        console.print(_choices(report))
        console.print(
            f"{model} chose the positive in {report.hits:.1%} of {report.num:,} samples (95 % "
            f"interval {report.low:.1%} to {report.high:.1%}; chance is {report.chance:.0%}) and "
            f"called a hard negative right as well in {report.accepted:.1%}.",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    for line in judge_problems(ledger, gates):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _choices(report: ChoiceReport) -> Table:
    table = Table(title="Judge's choices by position", title_justify="left")
    for name in ("position", "chosen", "95 % interval", "positive stood there"):
        table.add_column(name, justify="right")
    for share in report.positions:
        table.add_row(
            str(share.position + 1),
            f"{share.chosen:.1%}",
            f"{share.low:.1%} to {share.high:.1%}",
            f"{share.expected:.1%}",
        )
    return table
