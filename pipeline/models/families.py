"""Every family of models. Importing this module fills the registries, without importing torch."""

import pipeline.models.language.declaration
import pipeline.models.people.declaration
import pipeline.models.places.declaration  # noqa: F401
