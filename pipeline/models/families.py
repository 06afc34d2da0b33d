"""Every family of models. Importing this module fills the registries, without importing torch."""
