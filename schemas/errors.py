"""Errors that say what happened, where, and what to do; command lines print them as one line.

All errors of the five packages. Code catches those it can act on, a command line the base:

PolysceneError
  schemas
    AuditReportError          a file is not an audit report
    EditError                 an edit is refused
    ManifestError             a manifest is missing, unreadable or of another schema version
    ReviewConflictError       two sources of reviews hold different events under one id
    ReviewSourceError         reviews cannot be read: missing, or neither store nor export
    RowError                  a row breaks the contract
    RowScoresError            a version's file of scores is damaged
    SqlError                  a query cannot be run, failed, or took too much
    VersionError              a version cannot be opened: misnamed, missing, incomplete or another
  command_line
    MissingExtraError         a package that comes with an extra cannot be imported
    UsageError                the words of a command line are not a command
  builder
    BatchLimit                the provider's queue of batches is full
    BudgetReached             `--max-usd` or `--max-requests` was reached
    ConfigError               a configuration file is missing, unreadable or invalid
    DemoError                 a stage of the demo failed
    EmbedderError             a vision model cannot be loaded or gives no image embedding
    EndpointError             no request can succeed: wrong key, unknown model, no credit
      DeadEndpoint            nothing but failures, or no response
      UnusableReplies         the endpoint answers, but none of its replies can be kept
    EngineError               workers cannot be reached, cannot see the files, or keep dying
    EvaluationSetError        an evaluation set cannot be read, or holds nothing to compare with
    ExportError               an export cannot be written
    HubStartError             the local Hub cannot start as asked
    ImageRefusedError         an image is not fit for the corpus
    ImageStoreError           the store lacks an image or its files are damaged
    LedgerError               the ledger is missing, damaged or of another version
    NoCriteriaError           a version's report lacks the three criteria
    PilotError                a pilot cannot be made: a build was begun here already
    PlanError                 the images do not allow the plan
    PromptError               prompts of one's own cannot be used
    PublishError              a version could not be published or read
      AccessError             the Hub refuses the token, or hides the repository from it
      ConflictError           somebody else changed the repository at the same moment
      DamagedReleaseError     a release directory is not what its manifest says
      StaleError              the release does not continue the version that is published
      TagTakenError           the version exists with other content
      UnreachableError        the Hub did not answer, or asked to come back later
    ReleaseError              a release cannot be made; no version was made
    ReportError               a version's quality report cannot be read
    SafetyModelError          a model of image safety cannot be loaded, or gives no numbers
    SamplesError              a sample or a filter's value does not exist
    ScorerError               a scoring model cannot be loaded, or gives no numbers
    ServiceError              an embedded server did not start or ended early
    SourceError               an image source does not exist or holds no images
    TableError                a table is unreadable or has no image column
    TarError                  a tar cannot be read to its end
    UnknownCell               a prompt was asked for that does not exist
    UnreadableShardError      a shard of a release directory is missing or damaged
    VersionError              a version is not of the form X.Y.Z, or does not exist
    WorkspaceError            a workspace is missing, of another version, or in use
  curation_app
    AccountError              an account or invitation cannot be made, changed or used
    AdjudicationError         an adjudication cannot be started
    AlreadyDecided            the reviewer's decision is not the one the page showed
    AnotherReviewer           the page was opened by another reviewer than is signed in now
    AuditError                an audit cannot be designed, started, read or closed as asked
    BorderError               an option about addresses, proxies or paths cannot be used
    BulkError                 a verdict cannot be given to all the rows
    ChangedMeanwhile          somebody edited the row after the page had shown it
    CompareError              two versions cannot be compared
    DatasetError              a release cannot be read as its manifest promises
    DecisionError             a decision does not fit the row it names
      NotYetShown             a verdict came before the card can have been seen
    EditProblems (EditError)  a release would refuse the edits; one error per text
    EventConflict             an event id is taken by an event of other content
    GuidelineError            guidelines cannot be published
    ImageProblem              an image cannot be shown
    NoAccountsError           the app could be reached from outside without signing in
    NotALead                  somebody who is not a lead asked for what only a lead may do
    PersonError               a name, role or language of a person cannot be used
    QueryError                a search names a column, language or status that does not exist
    QueueError                a queue is missing, closed, or cannot be made as asked
    SearchError               a search cannot be made as asked
    SeedError                 planted defects cannot be made from these rows
    ServerError               the server cannot listen where it is told to
    SimilarityError           an image cannot be compared with the others
    StoreError                the review store is missing, unreadable, full, or of another version
    TemplateError             Gradio's page template has scripts that cannot be told from others
  trainer
    BaseModelError            a base model cannot be read or trained
    ConfigFileError           a configuration file cannot be used
    CorpusError               a version has nothing to train or measure on
      NoHeldOutError          a version has rows, but none in the requested split
    DivergedError             the loss or a gradient became infinite or NaN
    EncoderMissingError       the packages of the pretrained towers are not installed
    ExportError               a directory is not a whole exported model, or cannot become one
    HubError                  a model could not be pushed
      HubAccessError          the Hub refuses the token, or hides the repository from it
      HubConflictError        somebody else changed the repository at the same moment
      HubUnreachableError     the Hub did not answer, or is unavailable
    LogError                  a run's log cannot be continued
    LoraError                 LoRA cannot be applied to a model's layers
    ModelError                a directory does not hold an exported model
    NoRowsError               no row is left to train or measure on
    NothingToMeasureError     a version or file has nothing to compute a metric from
    OutOfMemoryError          a step does not fit into memory, even in the smallest chunks
    ResumeError               a checkpoint cannot be resumed
    SettingError              an option has an invalid value
    ShardError                a file of a version is damaged or not part of a release
    SuiteError                a benchmark's files are missing or malformed
    UnreadablePicturesError   more rows than allowed have a picture that cannot be decoded

An error derived from another package's names its parent in brackets.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar


class PolysceneError(Exception):
    """Base of every error a user can meet; its message is complete and holds no secret."""

    #: What a command line that fails with it exits with.
    exit_code: ClassVar[int] = 1


class RowError(PolysceneError):
    """A row breaks the contract.

    Args:
        what: What is wrong, as a clause: "`query_text` is empty".
        remedy: What to do, as a sentence.
        shard: File that contains the row, if it came from one.
        row_index: Zero-based position in that file.
        field: Column at fault.
        row_id: The row's `id`, if it has one.
    """

    def __init__(
        self,
        what: str,
        *,
        remedy: str = "Regenerate or drop this row.",
        shard: str | None = None,
        row_index: int | None = None,
        field: str | None = None,
        row_id: str | None = None,
    ) -> None:
        self.what = what
        self.remedy = remedy
        self.shard = shard
        self.row_index = row_index
        self.field = field
        self.row_id = row_id
        where = shard or "row"
        if row_index is not None:
            where = f"{where}, row {row_index}" if shard else f"row {row_index}"
        if row_id is not None:
            where += f' (id "{row_id}")'
        super().__init__(f"{where}: {what}. {remedy}")


@contextmanager
def naming(path: Path) -> Generator[None, None, None]:
    """Adds a file name to an `OSError` raised inside that has none, such as a failed write."""
    try:
        yield
    except OSError as exc:
        if exc.filename is None:
            exc.filename = str(path)
        raise
