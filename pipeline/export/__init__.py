"""Exports: release tables as files that may leave, each with a statement of what protects it."""

from pipeline.export.protection import ExportParams
from pipeline.export.write import Exported, export_table

__all__ = ["ExportParams", "Exported", "export_table"]
