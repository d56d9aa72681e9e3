"""The model card that a training run writes."""

from __future__ import annotations

from collections.abc import Mapping

from ml_collections import ConfigDict

from stajax.training.config import STAGES


def model_card(config: ConfigDict, scores: Mapping[str, float], step: int) -> str:
    """What was trained, on what, and what it scored on held-out clips."""
    what = STAGES[config.stage]
    lines = [
        f"# {what.net}",
        "",
        f"Stage `{config.stage}` of size {config.size}, {what.task}, trained with `stajax train` for {config.steps} steps of"
        f" {config.batch} examples, seed {config.seed}; these are the variables of step {step}"
        f"{', averaged over the last steps' if config.optimiser.ema else ''}.",
        "",
        f"Encoders: {config.model.frames} ({config.model.frames_weights or '-'}), {config.model.sound} "
        f"({config.model.sound_weights or '-'}); frozen: {', '.join(config.freeze) or 'nothing'}.",
        "",
        "On the held-out clips:" if scores else "No clips were held out.",
        *(f"- {name}: {value:.4f}" for name, value in scores.items()),
        "",
    ]
    return "\n".join(lines)
