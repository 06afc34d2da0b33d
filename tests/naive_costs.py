"""The naive twin of `pipeline.costs.schedule`: every worker is looked at for every piece."""


def naive_schedule(seconds: list[float], n_workers: int) -> float:
    """Return when the last of the pieces is done, each given to the worker that is free first."""
    free = [0.0] * n_workers
    for piece in seconds:
        first = 0
        for k in range(n_workers):
            if free[k] < free[first]:
                first = k
        free[first] = free[first] + piece
    latest = 0.0
    for moment in free:
        latest = max(latest, moment)
    return latest
