"""How an audit looks at places and times."""

from typing import Literal

from pydantic import Field

from pipeline.params import Params


class AuditParams(Params):
    """Resolution of points, and how much is drawn."""

    place: Literal["cell", "area"] = "cell"
    """"cell": the H3 cell of the position; "area": the area's id, rows outside all areas left out."""
    resolution: int = Field(default=8, ge=0, le=15)
    """H3 resolution of cells: 8 is about 0.7 km2 (ours)."""
    bin_h: float = Field(default=1.0, gt=0)
    """Hours of a time bin; one hour as de Montjoye et al. 2013 (recalled, unverified). Of a table that has dates only,
    24 hours are used at least."""
    max_points: int = Field(default=5, ge=1, le=20)
    """Most points that an attacker knows (ours)."""
    is_exhaustive: bool = False
    """Try every choice of a device's points and not some at random: the worst case, for few devices and points."""
    n_draws: int = Field(default=5, ge=1)
    """How often points are drawn from each device (ours)."""
    n_replicates: int = Field(default=200, ge=2)
    """Bootstrap replicates over devices (ours)."""
    min_devices: int = Field(default=10, ge=1)
    """Devices that a row, or a pair of home and work, must stand for, where the contract says nothing (ours)."""
    seed: int = 0
    """Of the draws."""
