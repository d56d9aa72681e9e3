"""Data on disk: fixations of people, tagged clips, and the data sets that hold them. Public names load on first use."""

from stajax.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    dict.fromkeys(("DataError", "density_map", "fixation_map"), "fixations")
    | dict.fromkeys(("Osie", "load_osie", "osie_split"), "osie")
    | dict.fromkeys(("Ave", "ClipsConfig", "TaggedFolder"), "builders")
    | dict.fromkeys(("Clip", "Records", "write_records"), "records")
    | dict.fromkeys(("ListedClip", "read_clips"), "clip_lists")
    | {"AVE_CLASSES": "tags", "Recording": "recording", "prepare": "preparation", "read_ave": "ave"},
)
