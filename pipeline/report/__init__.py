"""The report: one HTML file that says what ran, how good the data are and what came out."""

from pipeline.report.page import write_report

__all__ = ["write_report"]
