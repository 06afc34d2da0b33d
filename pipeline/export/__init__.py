"""Exports: release tables as files that may leave, each with a statement of what protects it."""

from pipeline.export.write import Exported, export_table

__all__ = ["Exported", "export_table"]
