"""How good recommended places are: check-ins of any file, honest splits, simple rules beside the models."""
