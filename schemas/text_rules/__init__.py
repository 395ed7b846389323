"""What a row's texts must be: the rules that builder and app share, one per function."""

from schemas.text_rules.gate import RULES, CheckReport, Rule, check_edit, check_revision
from schemas.text_rules.settings import TextRulesConfig

__all__ = ["RULES", "CheckReport", "Rule", "TextRulesConfig", "check_edit", "check_revision"]
