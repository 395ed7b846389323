"""Adds a source in units that workers look at, each kept as a shard, merged by the driver alone."""

from builder.images.staging.adding import StagedSource, StagingSummary, add_staged, open_units
from builder.images.staging.unit import ReadOptions

__all__ = ["ReadOptions", "StagedSource", "StagingSummary", "add_staged", "open_units"]
