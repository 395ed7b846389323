"""Puts versions on a Hub and gets them back: publish, compare, roll back, pull, export."""

from builder.publish.client import limit_waiting
from builder.publish.errors import (
    AccessError,
    ConflictError,
    PublishError,
    StaleError,
    TagTakenError,
    UnreachableError,
)
from builder.publish.publish import Published, publish
from builder.publish.repo import DatasetRepo, parse_address
from builder.publish.verify import DamagedReleaseError, verify_release

__all__ = [
    "AccessError",
    "ConflictError",
    "DamagedReleaseError",
    "DatasetRepo",
    "PublishError",
    "Published",
    "StaleError",
    "TagTakenError",
    "UnreachableError",
    "limit_waiting",
    "parse_address",
    "publish",
    "verify_release",
]
