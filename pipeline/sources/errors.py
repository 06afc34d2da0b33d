"""`SourceError`: the one way in which a source file is refused as a whole."""


class SourceError(ValueError):
    """A file or declaration that cannot be read. Names the file and the reason, never the contents."""
