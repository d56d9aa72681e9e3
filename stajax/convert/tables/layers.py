"""Rows of one layer. Sources are regular expressions, targets templates, without the names of the layer's own tensors."""

from __future__ import annotations

from stajax.convert import table
from stajax.convert.table import Row


def conv(source: str, target: str) -> tuple[Row, Row]:
    return Row(rf"{source}\.weight", f"{target}.kernel", table.conv), Row(rf"{source}\.bias", f"{target}.bias")


def conv3d(source: str, target: str) -> tuple[Row, Row]:
    return Row(rf"{source}\.weight", f"{target}.kernel", table.conv3d), Row(rf"{source}\.bias", f"{target}.bias")


def transposed_conv(source: str, target: str) -> tuple[Row, Row]:
    return Row(rf"{source}\.weight", f"{target}.kernel", table.transposed_conv), Row(rf"{source}\.bias", f"{target}.bias")


def linear(source: str, target: str) -> tuple[Row, Row]:
    return Row(rf"{source}\.weight", f"{target}.kernel", table.linear), Row(rf"{source}\.bias", f"{target}.bias")


def norm(source: str, target: str) -> tuple[Row, ...]:
    """Batch norm."""
    ours = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"}
    return tuple(Row(rf"{source}\.{leaf}", f"{target}.{name}") for leaf, name in ours.items())
