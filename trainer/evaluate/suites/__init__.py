"""Benchmarks from files: MMEB, XTD-10, and tables of your own."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.config import EvaluateConfig
    from trainer.encoders.encoder import Encoder


def evaluate_suite(
    encoder: "Encoder",
    suite: str,
    data: str,
    config: "EvaluateConfig",
    *,
    max_chunk_tokens: int | None = None,
) -> dict[str, Any]:
    """Measures an encoder on a benchmark; returns a report like that of `evaluate_validation`.

        report = evaluate_suite(load_encoder(Path("model")), "xtd", "XTD-10", EvaluateConfig())
        write_report(report, Path("xtd"))

    Args:
        encoder: Stays as it is.
        suite: "mmeb", "xtd", or a JSON Lines or Parquet file of your own; see `table`.
        data: Directory or Hub repository of the benchmark; for a file, where its images are,
            "" for its own folder.
        config: `k` and the number of resamples; MMEB is always measured at 1.

    Raises:
        SuiteError: The files do not exist, or do not have the benchmark's layout.
        NothingToMeasureError: Nothing of it can be measured with this model.
    """
    if suite == "mmeb":
        from trainer.evaluate.suites.mmeb import evaluate_mmeb

        return evaluate_mmeb(encoder, data, config, max_chunk_tokens=max_chunk_tokens)
    if suite == "xtd":
        from trainer.evaluate.suites.xtd import evaluate_xtd

        return evaluate_xtd(encoder, data, config, max_chunk_tokens=max_chunk_tokens)
    from trainer.evaluate.suites.table import evaluate_table

    return evaluate_table(encoder, suite, data, config, max_chunk_tokens=max_chunk_tokens)
