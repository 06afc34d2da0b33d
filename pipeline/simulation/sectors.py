"""The twenty industries of the artificial city and how their people work."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Sector(NamedTuple):
    """An industry: its share of jobs and how its people work (round figures of ours, except telework)."""

    naics: str  # two-digit sector as LODES and Dingel-Neiman write it
    job_share: float  # relative
    usual_start_s: int  # clock of most first shifts, seconds after midnight
    has_rota: bool  # any five days of the week and late shifts too, else Monday to Friday
    telework_share: float  # of its jobs; Dingel-Neiman's teleworkable_emp, rounded (theirs is "99" where we say 92)
    pay: float  # -1 (least) to 1: which homes its people come from, see Employment.sector_tilt
    has_nights: bool = False  # whether some work from the evening to the morning


def _clock(hour: float) -> int:
    return int(hour * 3_600)


SECTORS = (
    Sector("11", 1.0, _clock(6.5), False, 0.08, -0.5),
    Sector("21", 0.5, _clock(6.5), False, 0.25, 0.6),
    Sector("22", 0.5, _clock(7.5), False, 0.37, 0.8),
    Sector("23", 5.5, _clock(7.0), False, 0.19, 0.1),
    Sector("31-33", 9.0, _clock(7.0), False, 0.22, 0.1, has_nights=True),
    Sector("42", 4.5, _clock(8.0), False, 0.52, 0.3),
    Sector("44-45", 11.5, _clock(9.0), True, 0.14, -0.7),
    Sector("48-49", 4.5, _clock(6.5), True, 0.19, -0.1, has_nights=True),
    Sector("51", 2.0, _clock(9.0), False, 0.72, 0.8),
    Sector("52", 5.0, _clock(8.5), False, 0.76, 0.9),
    Sector("53", 1.5, _clock(9.0), False, 0.42, 0.2),
    Sector("54", 7.0, _clock(8.75), False, 0.80, 1.0),
    Sector("55", 2.0, _clock(8.75), False, 0.79, 0.9),
    Sector("56", 6.5, _clock(7.5), False, 0.31, -0.5),
    Sector("61", 10.0, _clock(7.75), False, 0.83, 0.2),
    Sector("62", 14.5, _clock(7.25), True, 0.25, 0.0, has_nights=True),
    Sector("71", 2.0, _clock(10.0), True, 0.30, -0.6),
    Sector("72", 9.5, _clock(9.5), True, 0.04, -1.0, has_nights=True),
    Sector("81", 3.0, _clock(9.0), False, 0.31, -0.6),
    Sector("92", 5.0, _clock(8.25), False, 0.41, 0.4),
)
N_SECTORS = len(SECTORS)
SECTOR_NUMBERS = {sector.naics: number for number, sector in enumerate(SECTORS)}


def by_sector(shares: dict[str, float], otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one number per sector: that of `shares`, for sectors not named there that of `otherwise`."""
    filled = otherwise.astype(float)
    for naics, share in shares.items():
        filled[SECTOR_NUMBERS[naics]] = share
    return filled
