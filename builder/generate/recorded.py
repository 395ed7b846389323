"""Requests as they once were sent: found by job and kind, whatever the templates say today."""

from collections.abc import Callable
from dataclasses import replace

from builder.config import TeacherConfig
from builder.generate.ledger import Ledger
from builder.generate.records import SentRequest
from builder.generate.requests import Request, RequestFactory
from builder.plan.job import Job
from builder.prompts import Prompt


class RecordedRequests(RequestFactory):
    """Makes requests under the keys their replies are stored by.

    A request's key covers prompt and reply schema, so it changes when a
    template is edited; which job it was for, and of what kind it was, stays.
    A request that never had a reply comes out as it would be sent today.

    Args:
        teacher: The model and its parameters.
        ledger: Where requests were written down.
        data_url: As for `RequestFactory`.
    """

    def __init__(
        self, teacher: TeacherConfig, ledger: Ledger, data_url: Callable[[str], str]
    ) -> None:
        super().__init__(teacher, data_url)
        self._ledger = ledger

    def sample(self, job: Job, prompt: Prompt) -> Request:
        request = super().sample(job, prompt)
        return _as_sent(request, self._ledger.sent_requests(job.id, "sample"))

    def correction(self, asked: Request, prompt: Prompt, answer: str, note: str) -> Request:
        request = super().correction(asked, prompt, answer, note)
        sent = self._ledger.sent_requests(asked.job.id, "correction")
        after = self._ledger.find_request(asked.key) or 0
        # Each sample request has at most one correction, and that was written down after it.
        return _as_sent(request, [entry for entry in sent if entry.id > after][:1])

    def judge(self, job: Job, prompt: Prompt) -> Request:
        """Asks for a judgement; one passed earlier counts if it is this judge's, of these texts."""
        request = super().judge(job, prompt)
        sent = self._ledger.sent_requests(job.id, "judge")
        texts = _last_line(request.parameters)
        mine = [entry for entry in sent if entry.model in {None, self.teacher.model}]
        return _as_sent(request, [entry for entry in mine if _last_line(entry.parameters) == texts])


def _as_sent(request: Request, sent: list[SentRequest]) -> Request:
    """The request under the key of the one of these that is best to read."""
    same = [entry for entry in sent if entry.key == request.key] or sent
    if not same:
        return request
    best = max(same, key=lambda entry: (entry.status == 200, entry.id))
    return replace(request, key=best.key, prompt_hash=best.prompt_hash)


def _last_line(parameters: str) -> str:
    """Where a judge's parameters hold the texts to judge."""
    return parameters.rpartition("\n")[2]
