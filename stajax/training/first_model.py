"""Train `sta-lite`, the first default model: STA on frozen EfficientNet-Lite0 and YAMNet, in minutes on a CPU.

    python -m stajax.training.first_model --data ../shared/data --out stajax/weights/sta-lite

1. The picture: human fixations of OSIE's training photographs.
2. The sound: two tagged clips side by side with the sound of one. The net of step 1 says where people look; the half that
   sounds draws more of it, a foreign sound or silence changes nothing. This is a prior on attention, not human fixations of
   videos, and the model card says so.
3. The motion: nothing at hand supervises it well (the card says what was tried), so that path is gated off.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from stajax.data.fixations import Osie, load_osie, osie_split
from stajax.evaluation.baselines import centre_prior, spectral_residual
from stajax.evaluation.osie import score
from stajax.layers.resize import resize
from stajax.models import folder
from stajax.models.fixation import STAConfig
from stajax.models.losses import fixation_loss
from stajax.models.network import Network, NetworkConfig, Structure
from stajax.training.model_card import write_card
from stajax.training.supervision import (
    SHARED,
    Clip,
    Encoders,
    Examples,
    held_out,
    photographs,
    read_clips,
    silent,
    sounding_halves,
    view,
)

PARTS, PICTURE_STEPS = 6, 600  # random parts of each photograph; steps of stage 1
COMPOSITES, SOUND_STEPS = 1200, 1500  # composites of two clips; steps of stage 2
RATE, GATE_RATE = 1e-3, 5.0  # AdamW's peak rate; the sound path's, over it


class Trainer:
    """AdamW on the nets' parameters, the encoders frozen; keeps an exponential moving average, which is what is used."""

    def __init__(self, structure: Structure, encoders: dict, seed: int):
        self.structure, self.frozen = structure, jax.device_put(encoders)
        self.nets = self.mean = structure.initialise(seed)["nets"]
        self._predict = jax.jit(lambda *args: jax.nn.sigmoid(self._logits(*args)))

    def _logits(self, nets, frozen, features, audio, fragments):
        logits, _ = self.structure.apply({**frozen, "nets": nets}, Network.__call__, features, audio, {"sta": fragments})
        return logits["sta"][:, 0]

    def predict(self, examples: Examples) -> np.ndarray:
        """Maps (M, 64, 64) of the averaged parameters."""
        maps = []
        for start in range(0, len(examples), 16):
            rows = np.minimum(np.arange(start, start + 16), len(examples) - 1)
            features, audio, fragments, _ = examples.batch(rows)
            maps.append(np.asarray(self._predict(self.mean, self.frozen, features, audio, fragments)))
        return np.concatenate(maps)[: len(examples)]

    def train(
        self,
        parts: Sequence[tuple[Examples, int]],
        steps: int,
        rate: float,
        rng: np.random.Generator,
        report: Callable[[int, float], None] = lambda step, loss: None,
        *,
        gate_rate: float = 1.0,
    ) -> None:
        """Minimise Eq. 17. parts: examples, and how many a batch takes of them. gate_rate: of the sound path, over `rate`."""
        schedule = optax.warmup_cosine_decay_schedule(0, rate, max(1, min(100, steps // 10)), steps)
        labels = jax.tree_util.tree_map_with_path(lambda path, _: "gate" if path[1].key == "sound" else "rest", self.nets)
        optimisers = {
            "rest": optax.adamw(schedule, weight_decay=0.05),
            "gate": optax.adamw(lambda step: gate_rate * schedule(step), weight_decay=0.05),
        }
        optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.multi_transform(optimisers, labels))
        state = optimiser.init(self.nets)

        @jax.jit
        def step(nets, mean, state, frozen, batches, number):
            def loss(nets):
                total = 0.0
                for features, audio, fragments, target in batches:
                    logits = self._logits(nets, frozen, features, audio, fragments)
                    total += fixation_loss(logits, target)[0] * len(target)
                return total / sum(len(batch[-1]) for batch in batches)

            value, gradient = jax.value_and_grad(loss)(nets)
            update, state = optimiser.update(gradient, state, nets)
            nets = optax.apply_updates(nets, update)
            decay = jnp.minimum(0.995, (1 + number) / (10 + number))
            return nets, jax.tree.map(lambda m, p: decay * m + (1 - decay) * p, mean, nets), state, value

        pending = None  # reported one report late, so that no step waits for it
        for number in range(1, steps + 1):
            batches = [examples.batch(rng.choice(len(examples), size, replace=False)) for examples, size in parts]
            self.nets, self.mean, state, value = step(self.nets, self.mean, state, self.frozen, batches, number)
            if number % 100 == 0 or number == steps:
                if pending:
                    report(pending[0], float(pending[1]))
                pending = (number, value)
        if pending:
            report(pending[0], float(pending[1]))


def scores(osie: Osie, indices: np.ndarray, maps: np.ndarray) -> dict[str, float]:
    """Five metrics of maps (n, 64, 64) of the photographs `indices`, each map stretched to the photograph."""
    stretched = {int(i): resize(saliency, (300, 400)) for i, saliency in zip(indices, maps, strict=True)}
    return score(osie, indices, stretched).mean


def baselines(osie: Osie, train: np.ndarray, indices: np.ndarray) -> dict[str, dict[str, float]]:
    """Five metrics of a centre prior fitted on the training photographs, and of the spectral residual."""
    prior = centre_prior([osie.fixations(i) for i in train], (300, 400))
    return {
        "centre prior (density of the training split)": score(osie, indices, lambda image: prior).mean,
        "spectral residual (OpenCV)": score(osie, indices, spectral_residual).mean,
    }


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Mean total variation distance of maps (n, h, w), each made to sum to 1: 0 is the same map, 1 no overlap."""
    p, q = (x / x.sum((1, 2), keepdims=True) for x in (one, other))
    return float(np.abs(p - q).sum((1, 2)).mean() / 2)


def effect_of_sound(clips: Sequence[Clip], encoders: Encoders, trainer: Trainer, rng: np.random.Generator) -> dict[str, float]:
    """How held-out clips' maps change with the sound, and how often the sound finds its half of a composite."""
    features = encoders.frames([image for clip in clips for image in clip.views])
    foreign = [next(c for c in clips[i + 1 :] + clips[:i] if c.tag != clip.tag) for i, clip in enumerate(clips)]
    audio = encoders.audio(np.concatenate([clip.windows for clip in clips] + [clip.windows for clip in foreign]))
    quiet = silent(features)
    own = dataclasses.replace(quiet, audio=audio, sound=np.arange(len(quiet)), switch=np.ones(len(quiet), np.float32))
    other = dataclasses.replace(own, sound=own.sound + len(quiet))
    true_map, silent_map, foreign_map = (trainer.predict(x) for x in (own, quiet, other))
    examples, mask = sounding_halves(clips, encoders, rng, trainer.predict, 200)
    maps = trainer.predict(examples).reshape(4, 200, *mask.shape[1:])
    first_half = (maps * mask).sum((2, 3)) / maps.sum((2, 3))
    return {
        "clips": len(clips),
        "true_silent": distance(true_map, silent_map),
        "true_foreign": distance(true_map, foreign_map),
        "half_right": float((first_half[0] > first_half[1]).mean()),
        "half_shift": float((first_half[0] - first_half[1]).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with osie/ and clips/")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    begun, rng = time.monotonic(), np.random.default_rng(arguments.seed)

    def say(text: str) -> None:
        print(f"[{time.monotonic() - begun:4.0f} s] {text}", flush=True)

    structure = Structure(NetworkConfig(nets={"sta": ("STA", dataclasses.replace(STAConfig.lite(), use_temporal=False))}))
    encoders = Encoders(structure)
    trainer = Trainer(structure, encoders.variables, arguments.seed)
    osie = load_osie(arguments.data / "osie")
    split = osie_split(len(osie))

    pictures = photographs(osie, split["train"], encoders, rng, PARTS)
    say(f"{len(pictures)} views of {len(split['train'])} photographs")
    report = lambda step, loss: say(f"step {step}: loss {loss:.3f}")  # noqa: E731
    trainer.train([(pictures, 32)], PICTURE_STEPS, 2 * RATE, rng, report)
    validation = silent(encoders.frames([view(osie.image(i)) for i in split["validation"]]))
    say(f"validation after the pictures: {scores(osie, split['validation'], trainer.predict(validation))}")

    clips, kept = held_out(read_clips(arguments.data / "clips", 10))
    composites, _ = sounding_halves(clips, encoders, rng, trainer.predict, COMPOSITES)
    say(f"{len(composites)} composites of {len(clips)} clips; {len(kept)} clips held out")
    trainer.train([(pictures, 16), (composites, 24)], SOUND_STEPS, RATE, rng, report, gate_rate=GATE_RATE)

    maps = trainer.predict(validation)
    table = {"sta-lite": scores(osie, split["validation"], maps), **baselines(osie, split["train"], split["validation"])}
    for name, row in table.items():
        say(f"{name}: " + ", ".join(f"{metric} {value:.3f}" for metric, value in row.items()))
    sound = effect_of_sound(kept, encoders, trainer, np.random.default_rng(arguments.seed + 1))
    say(f"sound: {sound}")
    variables = {**encoders.variables, "nets": jax.device_get(trainer.mean)}
    card = write_card(table, sound, training_clips=len(clips), minutes=(time.monotonic() - begun) / 60, seed=arguments.seed)
    folder.write(arguments.out, structure, variables, name="sta-lite", model_card=card, shared=SHARED)
    say(f"written to {arguments.out}")


if __name__ == "__main__":
    main()
