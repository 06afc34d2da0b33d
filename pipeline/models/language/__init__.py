"""Language models that an embedding steers: embedding to prefix, with what it is compared with."""
