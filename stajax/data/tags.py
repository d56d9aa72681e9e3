"""Category tags: lists of classes with what people and AudioSet call them, and finding a class by its tag.

A class table is a mapping {class: aliases}, numbered in its order; `AVE`, `CLIPS` and `ESC10` are tuples of `Tag` that give
one by `table`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import NamedTuple

from stajax.data.fixations import DataError

SEPARATOR = ";"  # between the tags of one clip; AVE's names contain commas
Classes = Mapping[str, Sequence[str]] | Sequence[str]  # class -> aliases, or plain names


class Tag(NamedTuple):
    """One class."""

    name: str
    aliases: tuple[str, ...] = ()  # what else people write; no two classes of a list share one
    audioset: tuple[str, ...] = ()  # display names of the AudioSet classes that sound like it; () = its own name


# AVE (Tian et al. 2018), in alphabetical order, as the authors number them. 26 of its names are AudioSet's own; YAMNet does
# not tell men's from women's speech. Names beside the own one mean the same sound: a bark is first of all heard as Dog.
AVE = (
    Tag("Accordion"),
    Tag("Acoustic guitar", ("guitar",)),
    Tag("Baby cry, infant cry", ("baby cry", "infant cry", "baby", "baby crying")),
    Tag("Banjo"),
    Tag("Bark", ("dog", "dog bark", "dog barking"), ("Bark", "Dog", "Bow-wow", "Yip")),
    Tag("Bus"),
    Tag("Cat", ("meow",), ("Cat", "Meow", "Purr", "Caterwaul")),
    Tag("Chainsaw", ("chain saw",)),
    Tag("Church bell", ("church bells", "bell", "bells"), ("Church bell", "Bell", "Change ringing (campanology)")),
    Tag("Clock", ("clock tick", "clock ticking"), ("Clock", "Tick", "Tick-tock")),
    Tag("Female speech, woman speaking", ("female speech", "woman speaking", "woman", "female"), ("Speech",)),
    Tag("Fixed-wing aircraft, airplane", ("airplane", "aeroplane", "plane", "fixed-wing aircraft")),
    Tag("Flute"),
    Tag("Frying (food)", ("frying", "frying food"), ("Frying (food)", "Sizzle")),
    Tag("Goat", ("goat bleating",), ("Goat", "Bleat")),
    Tag("Helicopter"),
    Tag("Horse", ("horse neighing",), ("Horse", "Clip-clop", "Neigh, whinny")),
    Tag("Male speech, man speaking", ("male speech", "man speaking", "man", "male"), ("Speech",)),
    Tag("Mandolin"),
    Tag("Motorcycle", ("motorbike",)),
    Tag("Race car, auto racing", ("race car", "racing car", "auto racing")),
    Tag("Rodents, rats, mice", ("rodents", "rats", "mice", "rodent", "rat", "mouse"), ("Rodents, rats, mice", "Mouse")),
    Tag("Shofar"),
    Tag("Toilet flush", ("toilet", "toilet flushing")),
    Tag("Train horn", ("train",), ("Train horn", "Train whistle")),
    Tag("Truck", ("lorry",)),
    Tag("Ukulele"),
    Tag("Violin, fiddle", ("violin", "fiddle")),
)
AVE_CLASSES = tuple(tag.name for tag in AVE)

# The coarse classes of a set of 56 clips, those with three clips or more. Sport has no sound of its own in AudioSet.
CLIPS = (
    Tag("baby", (), ("Baby cry, infant cry", "Baby laughter", "Babbling", "Crying, sobbing", "Whimper")),
    Tag("dog", ("bark",), ("Dog", "Bark", "Yip", "Howl", "Bow-wow", "Growling", "Whimper (dog)")),
    Tag("explosion", (), ("Explosion", "Gunshot, gunfire", "Artillery fire", "Fireworks", "Firecracker", "Burst, pop")),
    Tag("percussion", ("drums",), ("Percussion", "Drum kit", "Drum", "Snare drum", "Bass drum", "Tabla", "Wood block")),
    Tag("speech", ("people speaking",), ("Speech", "Child speech, kid speaking", "Conversation", "Narration, monologue")),
    Tag("sport", (), ("Basketball bounce", "Bouncing", "Whack, thwack", "Slap, smack", "Thump, thud", "Grunt")),
    Tag(
        "strings", ("string instrument",), ("Plucked string instrument", "Guitar", "Ukulele", "Harp", "Bowed string instrument")
    ),
    Tag("vehicle", (), ("Vehicle", "Car", "Race car, auto racing", "Truck", "Bus", "Rail transport", "Train", "Engine")),
)

# ESC-10 (Piczak 2015), in the order of its folders.
ESC10 = (
    Tag("Dog bark", ("dog", "bark"), ("Dog", "Bark", "Bow-wow", "Yip")),
    Tag("Rain", (), ("Rain", "Raindrop", "Rain on surface")),
    Tag("Sea waves", ("waves", "sea"), ("Waves, surf", "Ocean")),
    Tag("Baby cry", ("baby",), ("Baby cry, infant cry", "Crying, sobbing")),
    Tag("Clock tick", ("clock",), ("Clock", "Tick", "Tick-tock")),
    Tag("Person sneeze", ("sneeze",), ("Sneeze",)),
    Tag("Helicopter"),
    Tag("Chainsaw", ("chain saw",)),
    Tag("Rooster", (), ("Chicken, rooster", "Crowing, cock-a-doodle-doo")),
    Tag("Fire crackling", ("fire",), ("Fire", "Crackle")),
)


def table(tags: Iterable[Tag]) -> dict[str, tuple[str, ...]]:
    """{class: aliases}, as records and model folders keep it."""
    return {tag.name: tag.aliases for tag in tags}


def find(tag: str | int, classes: Classes, *, what: str = "the data set", count: int | None = None) -> int:
    """The number of the class `tag`.

    Args:
        tag: its name or one of its aliases, in any case, or its number.
        classes: names, or a mapping from names to aliases.
        what: has the classes; for the message of an error.
        count: how many classes there are, where not all have a name.

    Raises:
        DataError: no such class; the line lists those that there are.
    """
    count = len(classes) if count is None else count
    if isinstance(tag, Integral):  # NumPy's too
        if not 0 <= tag < count:
            raise DataError(f"class {tag}: {what} has classes 0..{count - 1}")
        return int(tag)
    aliases = classes if isinstance(classes, Mapping) else dict.fromkeys(classes, ())
    wanted = tag.strip().lower()
    for names in (lambda name: (name,), aliases.__getitem__):  # a name before another class's alias
        for index, name in enumerate(aliases):
            if wanted in (known.lower() for known in names(name)):
                return index
    knows = f"knows: {'; '.join(aliases)}" if aliases else f"names no classes; give a number in 0..{count - 1}"
    raise DataError(f"unknown tag {tag!r}; {what} {knows}")


def split(text: str) -> tuple[str, ...]:
    """The tags of "Bark; Male speech": ("Bark", "Male speech"); none for an empty text."""
    return tuple(dict.fromkeys(tag for part in text.split(SEPARATOR) if (tag := part.strip())))


def find_all(tags: Iterable[str | int], classes: Classes) -> tuple[int, ...]:
    """The numbers of several tags, each once, in the order given. Raises DataError as `find`."""
    return tuple(dict.fromkeys(find(tag, classes) for tag in tags))


def audioset_names(classes: Classes, known: Sequence[str]) -> list[tuple[str, ...]]:
    """For each class the AudioSet classes that sound like it.

    They are those of the class of this name or alias in `AVE`, `ESC10` or `CLIPS`; else AudioSet's classes of its name or
    aliases, where a part between commas will do ("violin" is "Violin, fiddle").

    Args:
        known: the tagger's display names.

    Returns:
        [names] per class, each of `known`; () for a class that AudioSet does not know.
    """
    aliases = classes if isinstance(classes, Mapping) else dict.fromkeys(classes, ())
    parts = {part.strip().lower(): name for name in known for part in name.split(",")} | {name.lower(): name for name in known}
    tables = [{tag.name.lower(): tag for tag in tags} for tags in (AVE, ESC10, CLIPS)]
    tables += [{alias.lower(): tag for alias in tag.aliases} for tags in (AVE, ESC10, CLIPS) for tag in tags]

    def names(name: str) -> tuple[str, ...]:
        tag = next((table[name.lower()] for table in tables if name.lower() in table), Tag(name))
        wanted = tag.audioset or (tag.name, *tag.aliases, *aliases[name])
        return tuple(dict.fromkeys(parts[key.lower()] for key in wanted if key.lower() in parts))

    return [names(name) for name in aliases]


# The release's names of AVE classes before it looks for them in VGGSound's; the others stay as they are.
_RELEASED = {
    "Acoustic guitar": "guitar",
    "Baby cry, infant cry": "baby",
    "Bark": "dog",
    "Female speech, woman speaking": "female",
    "Fixed-wing aircraft, airplane": "plane",
    "Frying (food)": "food",
    "Male speech, man speaking": "male",
    "Race car, auto racing": "car",
    "Rodents, rats, mice": "mouse",
    "Toilet flush": "toilet",
    "Train horn": "train",
    "Violin, fiddle": "violin",
}


def heard_by_release(ave_class: str, vggsound_class: str) -> bool:
    """The release's label of the audio switch: is what VGGSound's classifier predicts, one of its 309 classes, this AVE class?

    The lowercased AVE name, after 12 renamings, must be a substring of VGGSound's. "cattle mooing" is therefore a cat, and
    what a woman says is male speech too.
    """
    return _RELEASED.get(ave_class, ave_class).lower() in vggsound_class
