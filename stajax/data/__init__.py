"""Data on disk: fixations of people. Public names load on first use."""

from stajax.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    dict.fromkeys(("DataError", "Osie", "density_map", "fixation_map", "load_osie", "osie_split"), "fixations"),
)
