"""What runs cost: from measured runs to the time and storage of larger ones (`sojourn plan`)."""

from pipeline.costs.facts import RunFacts, Scale, Task, facts_of_root
from pipeline.costs.fit import Costs, fit_costs, shipped_costs
from pipeline.costs.simulate import Foretold, StageTime, simulate

__all__ = [
    "Costs",
    "Foretold",
    "RunFacts",
    "Scale",
    "StageTime",
    "Task",
    "facts_of_root",
    "fit_costs",
    "shipped_costs",
    "simulate",
]
