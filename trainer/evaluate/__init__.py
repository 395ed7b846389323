"""Measures a model: rankings of documents, suites of questions, intervals, reports and plots."""
