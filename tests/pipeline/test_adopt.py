"""What is taken from another pipeline: the finished steps that were made of the same, with what a run by itself would make."""

import json
from pathlib import Path

import pytest

from stajax.pipeline.adopt import adopt
from stajax.pipeline.manifest import Manifest
from stajax.pipeline.run import Step, plan


def chain(workdir: Path, **settings) -> list[Step]:
    """a -> b -> c: each writes what it is made of."""

    def step(name: str, needs: tuple[str, ...]) -> Step:
        def run(place: Path):
            place.mkdir(parents=True)
            read = [(workdir / "at" / need / "value").read_text() for need in needs]
            (place / "value").write_text(f"{name}{settings.get(name, 0)}({', '.join(read)})")
            return {"score": settings.get(name, 0)}

        return Step(name, needs, settings.get(name, 0), run, f"at/{name}", name)

    return [step("a", ()), step("b", ("a",)), step("c", ("b",))]


def run(workdir: Path, *, until: str = "c", **settings) -> None:
    """As `stajax.pipeline.run.run` does it, without its configuration."""
    manifest = Manifest(workdir)
    for step, made_of, action in plan(chain(workdir, **settings), manifest, until=until):
        if action == "run":
            manifest.begin(step.name, made_of)
            manifest.finish(step.name, made_of, 1.5, step.run(workdir / step.place))


def taken(workdir: Path, others, **settings) -> list[str]:
    manifest = Manifest(workdir)
    return adopt(plan(chain(workdir, **settings), manifest), manifest, workdir, others)


def values(workdir: Path) -> dict[str, str]:
    return {path.parent.name: path.read_text() for path in workdir.glob("at/*/value")}


@pytest.mark.parametrize(
    ("settings", "expected"), [({}, ["a", "b", "c"]), ({"c": 1}, ["a", "b"]), ({"b": 1}, ["a"]), ({"a": 1}, [])]
)
def test_steps_up_to_the_first_that_differs_are_taken(tmp_path, settings, expected):
    run(tmp_path / "one")
    assert taken(tmp_path / "two", [tmp_path / "one"], **settings) == expected
    run(tmp_path / "two", **settings)
    run(tmp_path / "alone", **settings)
    assert values(tmp_path / "two") == values(tmp_path / "alone")
    entries = json.loads((tmp_path / "two" / "manifest.json").read_text())["steps"]
    assert [name for name, entry in entries.items() if entry["notes"].get("adopted") == str(tmp_path / "one")] == expected
    assert all(entry["state"] == "done" and entry["seconds"] == 1.5 for entry in entries.values())


def test_of_several_each_gives_what_it_has_and_their_own_stay_as_they_are(tmp_path):
    run(tmp_path / "one", until="b")
    run(tmp_path / "two", b=1)
    before = {name: values(tmp_path / name) for name in ("one", "two")}
    others = [tmp_path / "one", tmp_path / "two", tmp_path / "three", tmp_path / "nothing"]
    for name, of in (("three", others), ("four", [tmp_path])):
        assert taken(tmp_path / name, of, b=1) == ["a", "b", "c"]
        assert values(tmp_path / name) == before["two"]
    assert {name: values(tmp_path / name) for name in ("one", "two")} == before


def test_what_was_begun_or_is_done_already_is_not_taken(tmp_path):
    run(tmp_path / "one", until="a")
    manifest = Manifest(tmp_path / "one")
    b = plan(chain(tmp_path / "one"), manifest)[1]
    manifest.begin("b", b.made_of)
    run(tmp_path / "two", until="a")
    assert taken(tmp_path / "two", [tmp_path / "one"]) == []
    assert taken(tmp_path / "one", [tmp_path / "one"]) == []


def test_what_was_made_of_other_settings_is_replaced(tmp_path):
    run(tmp_path / "one")
    run(tmp_path / "two", a=1)
    (tmp_path / "two" / "at" / "a" / "left over").touch()
    assert taken(tmp_path / "two", [tmp_path / "one"]) == ["a", "b", "c"]
    assert values(tmp_path / "two") == values(tmp_path / "one")
    assert not (tmp_path / "two" / "at" / "a" / "left over").exists()
