"""Train `sta-lite`, the first default model: STA on frozen EfficientNet-Lite0 and YAMNet, in minutes on a CPU.

    python -m stajax.training.first_model --data DATA --out stajax/weights/sta-lite

1. The picture: human fixations of OSIE's training photographs, at rest and under slow pans.
2. The motion: two discs cut from photographs over a third; where one moves, it draws half of the map of step 1.
3. The sound: two tagged clips side by side with the sound of one; the half that sounds draws more of the map of step 1, a
   foreign sound or silence changes nothing.

Steps 2 and 3 are priors on attention, not human fixations of videos, and the model card says so. Encoders are frozen and
features are computed once, so a step costs only the net's heads.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from stajax.data.osie import Osie, load_osie, osie_split
from stajax.evaluation.baselines import centre_prior, spectral_residual
from stajax.evaluation.osie import score
from stajax.layers.resize import resize
from stajax.models import folder
from stajax.models.fixation import STAConfig
from stajax.models.losses import fixation_loss
from stajax.models.network import Network, NetworkConfig, Structure
from stajax.training.first_model_card import write_card
from stajax.training.supervision import (
    MAP,
    SHARED,
    Clip,
    Encoders,
    Examples,
    held_out,
    moving_discs,
    photographs,
    read_clips,
    silent,
    sounding_halves,
    still,
    view,
)

PANS, PICTURE_STEPS = 2, 600  # pans of each photograph; steps of the pictures alone
DISCS, COMPOSITES, STEPS = 1500, 1200, 2000  # of motion, of sound; steps of all three together
RATE = 1e-3  # AdamW's peak rate


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
        relative: Mapping[str, float] = {},
    ) -> None:
        """Minimise Eq. 17. parts: examples, and how many a batch takes of them. relative: rate of a path over `rate`."""
        schedule = optax.warmup_cosine_decay_schedule(0, rate, max(1, min(100, steps // 10)), steps)
        labels = jax.tree_util.tree_map_with_path(lambda path, _: path[1].key if path[1].key in relative else "rest", self.nets)
        optimisers = {
            name: optax.adamw(lambda step, factor=factor: factor * schedule(step), weight_decay=0.05)
            for name, factor in {"rest": 1.0, **relative}.items()
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


def effects(clips: Sequence[Clip], osie: Osie, indices: np.ndarray, encoders: Encoders, trainer: Trainer, seed: int) -> dict:
    """What sound and motion do to maps: on held-out clips, on composites of them, and on discs over photographs `indices`."""
    rng, count = np.random.default_rng(seed), 200
    features = encoders.frames([image for clip in clips for triplet in clip.triplets for image in triplet])
    moving = np.arange(len(features["stride32"])).reshape(-1, 3)
    foreign = [next(c for c in [*clips[i + 1 :], *clips[:i]] if c.tag != clip.tag) for i, clip in enumerate(clips)]
    frozen = silent(features, still(moving[:, 1]))
    audio = encoders.audio(np.concatenate([clip.windows for clip in [*clips, *foreign]]))
    own = dataclasses.replace(frozen, audio=audio, sound=np.arange(len(frozen)), switch=np.ones(len(frozen), np.float32))
    other = dataclasses.replace(own, sound=own.sound + len(own))
    own_map, silent_map, foreign_map = (trainer.predict(x) for x in (own, frozen, other))

    composites, mask = sounding_halves(clips, encoders, rng, trainer.predict, count)
    discs, places = moving_discs(osie, indices, encoders, rng, trainer.predict, count)
    shift, asked = (
        share(first, mask) - share(second, mask)
        for first, second, *_ in (x.reshape(4, count, MAP, MAP) for x in (trainer.predict(composites), composites.target))
    )
    gain, wanted = (
        [share(moved, places[:, k]) - share(rest, places[:, k]) for k in (0, 1)]
        for rest, moved in (x.reshape(2, count, MAP, MAP) for x in (trainer.predict(discs), discs.target))
    )
    return {
        "clips": len(clips),
        "true_silent": distance(own_map, silent_map),
        "true_foreign": distance(own_map, foreign_map),
        "moving_frozen": distance(trainer.predict(silent(features, moving)), silent_map),
        "half_right": float((shift > 0).mean()),
        "half_shift": float(shift.mean()),
        "half_asked": float(asked.mean()),
        "disc_right": float((gain[0] > gain[1]).mean()),
        "disc_gain": float(gain[0].mean()),
        "disc_asked": float(wanted[0].mean()),
    }


def share(maps: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Part of each map (n, h, w) that lies in `place` (n, h, w) bool."""
    maps = maps.astype(np.float32)  # targets are float16, whose sums overflow
    return (maps * place).sum((1, 2)) / maps.sum((1, 2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with osie/ and clips/")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    begun, rng = time.monotonic(), np.random.default_rng(arguments.seed)

    def say(text: str) -> None:
        print(f"[{time.monotonic() - begun:4.0f} s] {text}", flush=True)

    structure = Structure(NetworkConfig(nets={"sta": ("STA", STAConfig.lite())}))
    encoders = Encoders(structure)
    trainer = Trainer(structure, encoders.variables, arguments.seed)
    osie = load_osie(arguments.data / "osie")
    split = osie_split(len(osie))

    pictures = photographs(osie, split["train"], encoders, rng, PANS)
    say(f"{len(pictures)} fragments of {len(split['train'])} photographs")
    report = lambda step, loss: say(f"step {step}: loss {loss:.3f}")  # noqa: E731
    trainer.train([(pictures, 32)], PICTURE_STEPS, 2 * RATE, rng, report, relative={"temporal": 0.0, "sound": 0.0})
    views = encoders.frames([view(osie.image(i)) for i in split["validation"]])
    validation = silent(views, still(np.arange(len(split["validation"]))))
    say(f"validation after the pictures: {scores(osie, split['validation'], trainer.predict(validation))}")

    discs, _ = moving_discs(osie, split["train"], encoders, rng, trainer.predict, DISCS)
    clips, kept = held_out(read_clips(arguments.data / "clips", 10))
    composites, _ = sounding_halves(clips, encoders, rng, trainer.predict, COMPOSITES)
    say(f"{len(discs)} fragments of discs, {len(composites)} of {len(clips)} clips; {len(kept)} clips held out")
    parts = [(pictures, 16), (discs, 20), (composites, 20)]
    trainer.train(parts, STEPS, RATE, rng, report, relative={"temporal": 2.0, "sound": 5.0})

    maps = trainer.predict(validation)
    table = {"sta-lite": scores(osie, split["validation"], maps), **baselines(osie, split["train"], split["validation"])}
    for name, row in table.items():
        say(f"{name}: " + ", ".join(f"{metric} {value:.3f}" for metric, value in row.items()))
    measured = effects(kept, osie, split["validation"], encoders, trainer, arguments.seed + 1)
    say(", ".join(f"{name} {value:.3f}" for name, value in measured.items()))
    variables = {**encoders.variables, "nets": jax.device_get(trainer.mean)}
    minutes = (time.monotonic() - begun) / 60
    card = write_card(table, measured, training_clips=len(clips), minutes=minutes, seed=arguments.seed)
    folder.write(arguments.out, structure, variables, name="sta-lite", model_card=card, shared=SHARED)
    say(f"written to {arguments.out}")


if __name__ == "__main__":
    main()
