"""How long a run will take yet: from what it has done so far, and from what stages took before.

The rate of this run counts for more the more of a stage is done. Of stages not begun only earlier seconds are known;
they are scaled by what the stages of this run took beside theirs, so that a larger study or a slower machine shows
after the first stage.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence


class TimeLeft:
    """Follows a run stage by stage."""

    def __init__(
        self,
        stages: Sequence[str],
        expected_s: Mapping[str, float],
        is_to_scale: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the stages of a run in order and the seconds they took before, those that never ran left out.

        With `is_to_scale` false, `expected_s` tells stages from each other but not how long they take here.
        """
        self._waiting = list(stages)
        self._expected, self._is_to_scale, self._clock = dict(expected_s), is_to_scale, clock
        self._took = self._foreseen = 0.0
        self._stage: str | None = None
        self._started = 0.0
        self.n_done, self.n_total = 0, 0

    def begin(self, stage: str) -> None:
        """Start the clock of a stage."""
        self._stage, self._started = stage, self._clock()
        self._waiting.remove(stage)
        self.n_done, self.n_total = 0, 0

    def expect(self, n_more: int) -> None:
        """Take how many more shards, or parts of work, the stage is now known to have."""
        self.n_total += n_more

    def advance(self) -> None:
        """Count one shard or part of work of the stage as done."""
        self.n_done += 1
        self.n_total = max(self.n_total, self.n_done)

    def end(self) -> None:
        """Stop the clock of the stage."""
        if self._stage in self._expected:
            self._took += self._elapsed()
            self._foreseen += self._expected[self._stage]
        self._stage = None

    def of_stage(self) -> float | None:
        """Return the seconds the stage will take yet; None where nothing is known."""
        if self._stage is None:
            return 0.0
        by_rate, before = self._by_rate(), self._before()
        if by_rate is None or before is None:
            return before if by_rate is None else by_rate
        share = self._share()
        return share * by_rate + (1.0 - share) * before

    def of_run(self) -> float | None:
        """Return the seconds the run will take yet; None where they are not known of any stage that waits."""
        stage, scale = self.of_stage(), self._scale()
        waiting = sum(self._expected.get(name, 0.0) for name in self._waiting)
        if stage is None or (scale is None and self._waiting):
            return None
        return stage + waiting * (scale or 0.0)

    def _elapsed(self) -> float:
        return max(0.0, self._clock() - self._started)

    def _share(self) -> float:
        return self.n_done / self.n_total if self.n_total else 0.0

    def _by_rate(self) -> float | None:
        """Return what is left of the stage at the rate of what is done of it."""
        share = self._share()
        return self._elapsed() * (1.0 - share) / share if share else None

    def _before(self) -> float | None:
        """Return what is left of the seconds that the stage took before, scaled to this run."""
        expected, scale = self._expected.get(self._stage or ""), self._scale()
        return None if expected is None or scale is None else max(0.0, expected * scale - self._elapsed())

    def _scale(self) -> float | None:
        """Return what this run takes for each second expected; None while that is not known."""
        if self._foreseen > 0:
            return self._took / self._foreseen
        expected, by_rate = self._expected.get(self._stage or "", 0.0), self._by_rate()
        if not self._is_to_scale:
            return (self._elapsed() + by_rate) / expected if expected and by_rate is not None else None
        return 1.0 if self._expected else None


def in_words(seconds: float | None) -> str:
    """Return a time left, rounded as it deserves; a question mark where it is not known."""
    if seconds is None:
        return "?"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
