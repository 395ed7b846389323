"""Decides what is kept: one rule a function, each returning None or a short reason to drop."""

from builder.checks.gate import RULES, CheckReport, Rule, check_edit, check_revision

__all__ = ["RULES", "CheckReport", "Rule", "check_edit", "check_revision"]
