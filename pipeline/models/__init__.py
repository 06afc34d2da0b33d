"""Models that learn: one protocol, one registry, one training loop. torch is imported here only, and only when needed.

What a family of models declares (its `declaration` module) imports no torch, so that tables, stages and help are the
same with and without it. `fit` and `predict` import it.
"""

from pipeline.models.protocol import MODELS, OUTPUTS, FitRun, Model, Output, State, Tables, register

__all__ = ["MODELS", "OUTPUTS", "FitRun", "Model", "Output", "State", "Tables", "register"]
