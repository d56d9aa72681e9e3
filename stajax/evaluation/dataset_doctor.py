"""`stajax doctor DATASET --protocol P`: what is missing, broken or odd in a data set, before hours go into scoring on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stajax.data.diem import load_gaze
from stajax.data.fixations import DataError, inside
from stajax.data.osie import load_osie
from stajax.data.pictures import listed, shape_of
from stajax.data.plain import load_plain
from stajax.data.stavis import DATASETS, list_path, read_list
from stajax.evaluation.protocols import PROTOCOLS, open_protocol
from stajax.evaluation.protocols.stavis import FIRST

ODD_RATIO = 0.02  # by how much the sides' ratio of picture and truth may differ


class Finding(NamedTuple):
    """One thing that is wrong. severity: "error", scoring stops or is wrong; "warning", it goes on, and one should know."""

    severity: str
    file: str  # or folder, or list
    problem: str
    mend: str


def examine(root, protocol: str) -> Iterator[Finding]:
    """All findings, one after the other; none for a data set that is in order. Reads every file that scoring would read.

    Args:
        root: the data set's folder.
        protocol: "stavis", "diem", "osie", "ucf" or "plain".

    Raises:
        ValueError: an unknown protocol, or no such folder.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"no protocol {protocol!r}; there are {', '.join(PROTOCOLS)}")
    root = Path(root)
    if not root.is_dir():
        problem = "a file, not a folder" if root.exists() else "no such folder"
        raise DataError(f"{root}: {problem}; name the folder of the data set")
    if protocol == "stavis":
        yield from _stavis(root)
        return
    try:
        options = {"splits": ["train", "validation", "test"]} if protocol == "osie" else {}
        rules = open_protocol(protocol, root, **options)
    except DataError as error:
        yield Finding("error", str(root), str(error), f"see `stajax.data.{protocol}` for the layout")
        return
    yield from {"diem": _diem, "osie": _osie, "plain": _plain, "ucf": _ucf}[protocol](root)
    for video in rules.videos if protocol != "diem" else ():  # `_diem` has looked at every frame
        yield from _frames(rules, video, video.frames, str(root / video.name))


def _frames(rules, video, frames, where):
    """What only reading the truth of each frame shows. where: the file or folder to name."""
    broken, empty, shapes, unlike = [], [], defaultdict(list), []
    pictures = _has_picture(rules, video, frames)
    for frame in frames:
        try:
            truth = rules.truth(video, frame, None)
        except DataError as error:
            broken.append(str(error))
            continue
        shapes[np.shape(truth.fixations)].append(frame)
        if not np.any(np.asarray(truth.fixations) > 0):
            empty.append(frame)
        if pictures and (size := _picture_size(rules, video, frame)) and _ratios_differ(size, np.shape(truth.density)):
            unlike.append(frame)
    if broken:
        yield Finding("error", where, broken[0] + _more(broken, "frame"), "get these files anew, or leave the video out")
    if len(shapes) > 1:
        usual, *odd = sorted(shapes, key=lambda shape: -len(shapes[shape]))
        which = ", ".join(f"{_size(shape)} (frame {shapes[shape][0]}{_more(shapes[shape], 'frame')})" for shape in odd)
        yield Finding("error", where, f"frames are {_size(usual)}, but some {which}", "bring all maps of a video to one size")
    yield from _empty(where, empty, len(frames), rules.empty)
    if unlike:
        problem = f"picture and truth have other proportions in frame {unlike[0]}{_more(unlike, 'frame')}"
        yield Finding("warning", where, problem, "check that the pictures are those that the observers saw, uncropped")


def _empty(where, empty, n, rule):
    """empty: the frames without a fixation, of n; rule: the protocol's for them."""
    if empty and len(empty) == n:
        yield Finding("error", where, "no frame has a fixation", "check that the fixations belong to this video")
    elif empty:
        problem = f"{len(empty)} of {n} frames have no fixation, the first is {empty[0]}"
        rule = "SIM counts them as 0" if rule == "zero" else "they are not scored"
        yield Finding("warning", where, problem, f"nothing to mend if nobody looked there; {rule}, the others leave them out")


def _has_picture(rules, video, frames):
    return len(frames) > 0 and _picture_size(rules, video, frames[0]) is not None


def _picture_size(rules, video, frame):
    try:
        return shape_of(rules.picture(video, frame))
    except DataError:
        return None


def _ratios_differ(a, b):
    return abs(a[0] * b[1] / (a[1] * b[0]) - 1) > ODD_RATIO


def _stavis(root):
    try:
        rules = open_protocol("stavis", root)
    except DataError as error:
        yield Finding("error", str(root / "fold_lists"), str(error), "the fold lists come with STAViS; put them there")
        return
    for path in sorted((root / "fold_lists").glob("*_list_train_*fps.txt")):
        try:
            read_list(path)
        except DataError as error:
            yield Finding("error", str(path), str(error), "the fold lists come with STAViS; get this one anew")
            return
    for dataset in rules.datasets.values():
        yield from _lists(root, dataset)
        yield from _never_tested(rules, dataset)
    for dataset in DATASETS:
        if dataset.name not in rules.datasets and (root / "annotations" / dataset.folder).is_dir():
            path = list_path(root, dataset, "test", "1")
            yield Finding("error", str(path), f"annotations of {dataset.name}, but no test list", "the lists come with STAViS")
    for video in rules.videos:
        yield from _stavis_video(rules, video)


def _lists(root, dataset):
    """A video twice in one list, in several test lists, or in the training list of a fold that tests it."""
    tests = {}
    for fold in dataset.folds or ("1",):
        path = list_path(root, dataset, "test", fold)
        names = [entry.video for entry in read_list(path)]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield Finding("error", str(path), f"{name} is listed twice", "keep one of the lines")
        tests[fold] = set(names)
        train = list_path(root, dataset, "train", fold)
        if train.is_file() and (both := tests[fold] & {entry.video for entry in read_list(train)}):
            problem = f"{', '.join(sorted(both))}: in the training list of the same fold too"
            yield Finding("error", str(path), problem, "what a model was trained on cannot test it; correct one of the lists")
    for one, two in combinations(tests, 2):
        if both := sorted(tests[one] & tests[two]):
            problem = f"{', '.join(both)}: in the test lists of folds {one} and {two}"
            mend = "so STAViS has it for AVAD; such a video counts twice, or once with all videos once"
            yield Finding("warning", str(root / "fold_lists"), problem, mend)


def _never_tested(rules, dataset):
    folder = rules.root / "annotations" / dataset.folder
    tested = {video.name for video in rules.videos if rules.datasets[video.dataset] is dataset}
    there = {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()
    train = list_path(rules.root, dataset, "train", "1")
    if not dataset.folds and train.is_file():  # one list: what is in it is not meant to be tested
        there -= {entry.video for entry in read_list(train)}
    if never := sorted(there - tested):
        problem = f"{', '.join(never[:5])}{_more(never[4:], 'video')}: annotated, but in no test list"
        yield Finding("warning", str(folder), problem, "so STAViS has it for some; add a line to a test list to score it")


def _stavis_video(rules, video):
    files = rules.files(video)
    last = video.frames[-1] if len(video.frames) else 0
    if not files.annotations.is_dir():
        yield Finding("error", str(files.annotations), "listed, but there is no such folder", "put its annotations there")
        return
    if last < FIRST:
        yield Finding("error", str(files.annotations), f"the list gives it fewer than {FIRST} frames", "correct the list")
        return
    wanted = range(1, last + 1)
    without = {name: [frame for frame in wanted if not path(frame).is_file()] for name, path in _kinds(files).items()}
    yield from _counts(files, video, without, last)
    complete = [frame for frame in wanted if all(frame not in frames for frames in without.values())]
    if complete:
        yield from _frames(rules, video, complete, str(files.annotations))
    if not files.sound.is_file():
        yield Finding("warning", str(files.sound), "no sound", "extract it from the video; a model with sound runs without it")


def _kinds(files):
    return {"fixation map": files.fixations_path, "density map": files.density_path}


def _counts(files, video, without, last):
    """Frame counts against the list: of both kinds of map, and of the pictures if there are any."""
    for kind, frames in without.items():
        path = _kinds(files)[kind]
        if frames:
            problem = f"no {kind} of frame {frames[0]}{_more(frames, 'frame')}; the list says {last} frames"
            other = [found for found in (path(frames[0]).with_suffix(s) for s in (".png", ".jpeg", ".npy")) if found.is_file()]
            mend = f"there is {other[0].name}: only {path(1).suffix} counts, convert it" if other else "get the missing files"
            yield Finding("error", str(path(frames[0])), problem, mend)
        if path(last + 1).is_file():
            yield Finding("warning", str(path(last + 1)), f"a {kind} after the list's {last} frames", "it is never scored")
    pictures = len(listed(files.frames, (".jpg",)))
    if pictures and pictures != last:
        mend = "extract the frames again, at the list's rate, or correct the list"
        yield Finding("warning", str(files.frames), f"{pictures} pictures, the list says {last} frames", mend)


def _diem(root):
    for path in sorted(root.glob("*.npz")):
        try:
            gaze = load_gaze(path)
        except DataError:
            continue  # opening the protocol has said so
        with np.load(path) as file:
            fixating = (file["event"] == 1).any(axis=2)
        kept = ~np.isnan(gaze.points[..., 0])
        share = kept[fixating].mean() if fixating.any() else 0
        if share < 0.9:
            problem = f"only {share:.0%} of the fixations lie inside the video"
            yield Finding("error", str(path), problem, "gaze must be in pixels of the 1280x960 screen, the size in the name")
        if blind := np.flatnonzero(~kept.any(axis=1)).tolist():
            problem = f"observer {blind[0]}{_more(blind, 'observer')} never looks at the video"
            yield Finding("warning", str(path), problem, "nothing to mend; these observers do not count")
        yield from _empty(str(path), np.flatnonzero(~kept.any(axis=0)).tolist(), kept.shape[1], "drop")


def _osie(root):
    osie = load_osie(root)
    for i, name in enumerate(osie.names):
        try:
            osie.image(i)
        except DataError as error:
            yield Finding("error", str(root / "stimuli" / name), str(error), "get this image anew, at 400x300")
    if extra := sorted({path.name for path in listed(root / "stimuli")} - set(osie.names)):
        problem = f"{extra[0]}{_more(extra, 'image')}: not among the names in fixations.npz"
        yield Finding("warning", str(root / "stimuli"), problem, "they are never scored")
    if osie.dropped:
        problem = f"{osie.dropped} of {osie.dropped + len(osie.points)} fixations lie outside their image"
        severity = "error" if osie.dropped > len(osie.points) / 10 else "warning"
        yield Finding(severity, str(root / "fixations.npz"), problem, "they are dropped; if many, check width and height")


def _plain(root):
    clips = load_plain(root)
    for name, clip in clips.items():
        path = root / "fixations" / f"{name}.csv"
        outside = int((~inside(clip.points, clip.shape)).sum())
        if not len(clip.points):
            yield Finding("error", str(path), "no fixation", "leave the file out, or fill it")
        elif outside:
            problem = f"{outside} of {len(clip.points)} fixations lie outside the frame of {_size(clip.shape)}"
            severity = "error" if outside > len(clip.points) / 10 else "warning"
            yield Finding(severity, str(path), problem, "they are dropped; if they are many, x and y may be of another size")
    stimuli = {path.stem for path in (root / "stimuli").glob("*")} if (root / "stimuli").is_dir() else set()
    if unseen := sorted(stimuli - set(clips)):
        problem = f"{unseen[0]}{_more(unseen, 'stimulus')}: without a file in fixations"
        yield Finding("warning", str(root / "stimuli"), problem, "they are never scored")


def _ucf(root):
    from stajax.evaluation.protocols.ucf import Ucf

    for folder in Ucf(root).folders.values():
        maps, frames = ({path.stem for path in listed(folder / kind)} for kind in ("maps", "frames"))
        if frames and (alone := sorted(maps ^ frames)):
            problem = f"{alone[0]}{_more(alone, 'name')}: a map without a frame or a frame without a map"
            yield Finding("warning", str(folder), problem, "get the missing files; frames count by the sorted list of maps")


def _more(items, what):
    return f" and {len(items) - 1} more {what}{'s' if len(items) > 2 else ''}" if len(items) > 1 else ""


def _size(shape):
    return f"{shape[1]}x{shape[0]}"
