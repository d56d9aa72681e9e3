"""An evaluation as one HTML page that opens from disk without a network: `write_html`, with pictures by `example_frames`."""

from stajax.lazy import exports

__getattr__, __dir__, __all__ = exports(__name__, {"Picture": "pictures", "example_frames": "pictures", "write_html": "page"})
