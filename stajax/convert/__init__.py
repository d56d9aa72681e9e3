"""Foreign checkpoints: reading them safely, naming their tensors as ours, reporting what went where.

Public names load on first use; none of them needs torch.
"""

from stajax.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "Checkpoint": "readers",
        "Converted": "checkpoint",
        "ConvertError": "errors",
        "Entry": "table",
        "Row": "table",
        "apply_table": "table",
        "convert": "checkpoint",
        "left_over": "table",
        "read_checkpoint": "readers",
        "write_report": "report",
    },
)
