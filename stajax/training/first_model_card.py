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
| {clips} clips of 4 to 10 seconds with coarse tags, from samples of VGGSound, VAS, AVSBench, AudioSet, AVE and others | which half of a composite sounds | research use; the pictures belong to their uploaders. Not included here |
| EfficientNet-Lite0 (ImageNet), YAMNet (AudioSet) | the frozen encoders | Apache-2.0 |

## Procedure

1. Pictures: each photograph and its mirror image, whole and at rest (three equal frames), and slow pans and zooms of parts of
   it; silent. Target: density of the fixations, Gaussian of 1 degree. Loss: Eq. 17.
2. Motion: two discs cut from photographs over a third photograph. At rest, the target is the map of step 1; where one disc moves by 4
   to 18 pixels (of 256) a frame, it draws half of the map. The discs look alike, so only motion tells.
3. Sound: frames of two clips with different tags side by side, with the sound of either, of a third, or none. Target: the
   map of step 1, three times as strong in the half whose sound is heard. The audio switch φ is 1 wherever there is a sound
   (peak above 0.001 of full scale), since no switch net was trained.

Steps 2 and 3 (trained together with more of step 1) are priors, "people look at what moves" and "at what sounds", made up by us: no
fixation of a video entered. Both paths are trained and on; neither is gated off.

The average of the weights over the last steps is what ships. Seed {seed}; {minutes:.0f} minutes on 2 CPU cores:

    python -m stajax.training.first_model --data DATA --out stajax/weights/sta-lite

DATA holds `osie/` (OSIE's photographs and fixations) and `clips/` (clips with a `labels.csv`: file, coarse).

## Numbers

OSIE, validation split (100 photographs, index % 5 == 3; maps stretched to 400x300, means over images; choices of the
procedure were made on it, the test split was never looked at):

{table}

Does it listen, does it see motion? {held} clips that training never saw, 10 moments each; the change of the map is the mean
total variation distance (0: the same map, 1: no overlap):

| | change of the map |
|---|---|
| true sound against no sound (the switch off) | {true_silent:.3f} |
| true sound against another clip's sound | {true_foreign:.3f} |
| moving triplet against the frozen one (silent) | {moving_frozen:.3f} |

Composites of two of those clips (200, different tags): the half whose sound is heard gains in {half_right:.0f} % of them (chance
50 %), on average {half_shift:.1f} % of the map between the two sounds; the targets asked for {half_asked:.0f} %. Discs over
validation photographs (200): the moving disc gains more than the resting one in {disc_right:.0f} % (chance 50 %), on average
{disc_gain:.1f} % of the map; the targets asked for {disc_asked:.0f} %.

## Limits

- Motion and sound move the map less than their targets asked, and nobody has measured whether people's eyes agree. At 25
  frames/s real motion between frames is often smaller than the 4 pixels it learned from.
- Sound helps only for kinds like those it heard (speech, dogs, babies, strings, percussion, vehicles, sport, explosions); it
  heard {clips} clips.
- Fixations of photographs last seconds; people watching a video look closer to the centre and at fewer places.
- Values are comparable within a clip; they are no probabilities of being looked at.
"""


def write_card(
    table: dict[str, dict[str, float]], effects: dict[str, float], *, training_clips: int, minutes: float, seed: int
) -> str:
    """The card as Markdown. table: model -> metric -> value. effects: what `first_model.effects` gave."""
    lines = ["| | " + " | ".join(METRICS.values()) + " |", "|---" * (len(METRICS) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(f"{row[metric]:.3f}" for metric in METRICS) + " |" for name, row in table.items()]
    return _CARD.format(
        clips=training_clips,
        seed=seed,
        minutes=minutes,
        table="\n".join(lines),
        held=effects["clips"],
        true_silent=effects["true_silent"],
        true_foreign=effects["true_foreign"],
        moving_frozen=effects["moving_frozen"],
        **{
            name: 100 * effects[name]
            for name in ("half_right", "half_shift", "half_asked", "disc_right", "disc_gain", "disc_asked")
        },
    )
