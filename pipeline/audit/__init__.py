"""What a table tells of single devices: before it leaves, and of data that should not leave at all.

Nothing here returns an id or a position: shares and counts only.
"""

from pipeline.audit.groups import FewDevices, HomeWork, audit_home_work, audit_n_devices
from pipeline.audit.params import AuditParams
from pipeline.audit.points import read_points
from pipeline.audit.targets import Audit, audit
from pipeline.audit.uniqueness import Unique, audit_uniqueness

__all__ = [
    "Audit",
    "AuditParams",
    "FewDevices",
    "HomeWork",
    "Unique",
    "audit",
    "audit_home_work",
    "audit_n_devices",
    "audit_uniqueness",
    "read_points",
]
