"""The model card of `sta-lite`: what it is, what it learned from, what it scores, what it cannot do."""

from __future__ import annotations

METRICS = {"auc_judd": "AUC-J", "auc_shuffled": "s-AUC", "nss": "NSS", "cc": "CC", "similarity": "SIM"}

_CARD = """\
# sta-lite

Fixation maps for video with sound: the STA net (Eqs. 15 and 16 of the paper, arXiv 2112.13697) on frozen EfficientNet-Lite0
features (256 px) and frozen YAMNet sound features (0.975 s windows every 0.2 s). Maps are 64x64. A first default model: it
was trained on human fixations of **photographs**, not on the paper's pseudo-fixations, and not on fixations of videos.

## Data, and whose it is

| what | used for | terms |
|---|---|---|
| OSIE, training split: 300 photographs, all 15 observers (index % 5 in 0, 1, 2 of the sorted files) | where people look in a picture | MIT licence |
| {clips} ten-second clips with coarse tags, from samples of VGGSound, VAS, AVSBench, AudioSet, AVE and others | which half of a composite sounds | research use; the pictures belong to their uploaders. Not included here |
| EfficientNet-Lite0 (ImageNet), YAMNet (AudioSet) | the frozen encoders | Apache-2.0 |

## Procedure

1. Pictures: each photograph and its mirror image, whole and as random parts of 60 to 95 %, a still being a fragment of three equal
   frames, silent. Target: density of the fixations, Gaussian of 1 degree. Loss: Eq. 17.
2. Sound: frames of two clips with different tags side by side, with the sound of either, of a third, or none. Target: the
   map of step 1, three times as strong in the half whose sound is heard. This is a prior ("people look at what sounds"), not
   a measurement. The audio switch φ is 1 wherever there is a sound track, since no switch net was trained.
3. Motion: **the temporal path is gated off**. It was tried with discs that move over photographs; a linear 3-D convolution at
   stride 32 did not learn to tell a moving disc from a resting one, so it would add noise and no knowledge.

The average of the weights over the last steps is what ships. Seed {seed}; {minutes:.0f} minutes on 2 CPU cores:

    python -m stajax.training.first_model --data DATA --out stajax/weights/sta-lite

DATA holds `osie/` (OSIE's photographs and fixations) and `clips/` (clips with a `labels.csv`: file, coarse).

## Numbers

OSIE, validation split (100 photographs, index % 5 == 3; maps stretched to 400x300, means over images; choices of the
procedure were made on it, the test split was never looked at):

{table}

Does it listen? {held} clips that training never saw, 10 moments each; the change of the map is the mean total variation
distance (0: the same map, 1: no overlap):

| | change of the map |
|---|---|
| true sound against silence | {true_silent:.3f} |
| true sound against another clip's sound | {true_foreign:.3f} |
| moving triplet against the frozen one | 0 (the path is off) |

Composites of two of those clips (200, different tags): the right half gains when its own sound is heard in {half_right:.0f} % of
them (chance 50 %), and on average {half_shift:.1f} % of the map moves to it; the target asked for about 43 %. The sound path
has learned something, and little: it saw {clips} clips.

## Limits

- It looks at each frame by itself; motion draws nothing.
- The sound moves the map slightly, and reliably only for kinds of sound like those it saw (speech, dogs, babies, strings, percussion,
  vehicles, sport, explosions).
- Fixations of photographs last seconds; people watching a video look closer to the centre and at fewer places.
- Values are comparable within a clip; they are no probabilities of being looked at.
"""


def write_card(
    table: dict[str, dict[str, float]], sound: dict[str, float], *, training_clips: int, minutes: float, seed: int
) -> str:
    """The card as Markdown. table: model -> metric -> value. sound: what `effect_of_sound` gave."""
    lines = ["| | " + " | ".join(METRICS.values()) + " |", "|---" * (len(METRICS) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(f"{row[metric]:.3f}" for metric in METRICS) + " |" for name, row in table.items()]
    return _CARD.format(
        clips=training_clips,
        seed=seed,
        minutes=minutes,
        table="\n".join(lines),
        held=sound["clips"],
        true_silent=sound["true_silent"],
        true_foreign=sound["true_foreign"],
        half_right=100 * sound["half_right"],
        half_shift=100 * sound["half_shift"],
    )
