"""Plans what to request: shares, the jobs of a round, their images and variations."""

from builder.job import Job
from builder.plan.columns import Plan
from builder.plan.picking import PlanError
from builder.plan.round import plan_round
from builder.plan.shares import Targets, targets_of

__all__ = ["Job", "Plan", "PlanError", "Targets", "plan_round", "targets_of"]
