"""Mapping tables, one file per family: the encoders, and the authors' nets on top of them."""
