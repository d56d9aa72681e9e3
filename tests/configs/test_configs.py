"""Every configuration in every size, with every row of its sweep, gives nets that can be built; size paper is the paper's.

Nothing is computed: `Structure` builds a network abstractly, and refuses what does not fit together.
"""

import re
import shlex
from pathlib import Path

import pytest

from stajax.cli import _parser
from stajax.cli.arguments import dotted
from stajax.models.network import Structure
from stajax.pipeline.config import PROCEDURE, taking_part
from stajax.training.config import SIZES, STAGES, ConfigError, change, load, sweep
from stajax.training.variables import network_config

CONFIGS = Path(__file__).parents[2] / "configs"
# file -> its variants, the first one the default
NETS = {
    "switch": {"switch": "switch"},
    "s": {"coarse": "s", "fine": "s_fine"},
    "st": {"coarse": "st", "fine": "st_fine"},
    "sa": {"coarse": "sa", "fine": "sa_fine"},
    "s_plus": {"short": "s_plus_short", "long": "s_plus_long", "cross": "s_plus_cross"},
    "st_plus": {"short": "st_plus_short", "long": "st_plus_long", "cross": "st_plus_cross"},
    "sa_plus": {"long": "sa_plus_long", "cross": "sa_plus_cross"},
    "cam_sta": {"coarse": "cam_sta", "fine": "cam_sta_fine"},
    "sta": {"sta": "sta"},
    "sta_plus": {"short": "sta_plus_short", "long": "sta_plus_long"},
}
PIPELINES = {"pipeline": ("lite", "paper"), "synthetic_tiny": ("",), "real_lite": ("",), "shipped_lite": ("",)}
TABLES = [f"table{number}" for number in range(1, 7)]


_BUILT: dict[str, Structure] = {}  # by the network's configuration: many stages and rows have the same one


def build(config) -> Structure:
    config = config.copy_and_resolve_references()
    if config.net.get("classes", None) == 0:
        config.net.classes = 7  # the number of the records' classes
    network = network_config(config)
    if str(network) not in _BUILT:
        _BUILT[str(network)] = Structure(network)
    return _BUILT[str(network)]


def test_every_stage_has_a_file_and_every_file_is_tested():
    assert {stage for variants in NETS.values() for stage in variants.values()} == set(STAGES)
    assert {path.stem for path in CONFIGS.glob("*.py")} == NETS.keys() | PIPELINES.keys()
    assert sorted(path.stem for path in (CONFIGS / "ablations").glob("*.py")) == TABLES


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NETS)
def test_a_net_of_every_size_and_variant_can_be_built(name, size):
    for variant, stage in NETS[name].items():
        config = load(f"{CONFIGS / name}.py:{size},{variant}")
        assert (config.stage, config.size) == (stage, size)
        structure, what = build(config), STAGES[stage]
        own = structure.module.switch if what.task == "switch" else structure.module.nets[what.net]
        assert own.config.source == what.source
        assert getattr(own.config, "granularity", "none") == what.granularity
    first = next(iter(NETS[name].values()))
    assert load(f"{CONFIGS / name}.py:{size}").stage == first
    assert (load(f"{CONFIGS / name}.py").stage, load(f"{CONFIGS / name}.py").size) == (first, "lite")


@pytest.mark.parametrize(
    ("stage", "batch", "views", "steps", "rate", "schedule"),
    [  # section 6.1: batches 20, 3, 16, 3 and views; 15 epochs of 3339 clips of 10 s, a fragment a second
        ("s", 20, 256, 25_042, 1e-4, "steps"),
        ("sa_fine", 3, 356, 166_950, 1e-4, "steps"),
        ("st_plus_cross", 16, 256, 31_303, 1e-4, "steps"),
        ("sta", 3, 356, 166_950, 5e-5, "constant"),
        ("sta_plus_long", 3, 256, 166_950, 5e-5, "constant"),
    ],
)
def test_size_paper_is_the_papers(stage, batch, views, steps, rate, schedule):
    (name, variant) = next((name, variant) for name in NETS for variant, known in NETS[name].items() if known == stage)
    config = load(f"{CONFIGS / name}.py:paper,{variant}")
    assert (config.batch, config.model.size, config.steps) == (batch, views, steps)
    optimiser = config.optimiser
    assert (optimiser.name, optimiser.rate, optimiser.schedule, optimiser.clip) == ("released_sgd", rate, schedule, 0.0)
    assert optimiser.decay == (1e-4 if stage.startswith("sta") else 5e-4)
    module = build(config).module
    if STAGES[stage].task == "fixation":
        assert module.nets[STAGES[stage].net].output_size == (356, 356)


@pytest.mark.parametrize(("name", "variant"), [("sa", "coarse"), ("sta", "sta")])
def test_resnext_is_an_option_of_size_paper(name, variant):
    """At 256 and at 356 px."""
    build(load(f"{CONFIGS / name}.py:paper,{variant}", ["model.frames=resnext101_32x8d"]))


@pytest.mark.parametrize("name", PIPELINES)
def test_every_net_of_a_pipeline_can_be_built(name):
    for size in PIPELINES[name]:
        config = load(f"{CONFIGS / name}.py" + (f":{size}" if size else ""))
        assert taking_part(config) == PROCEDURE and len(PROCEDURE) == 18
        for stage in PROCEDURE:
            build(config.stages[stage])


def rows(table: str, size: str):
    """(name, configuration) of each row."""
    file = f"{CONFIGS / 'ablations' / table}.py:{size}"
    for row in sweep(file):
        yield row["name"], change(load(file), {key: value for key, value in row.items() if key != "name"})


@pytest.mark.parametrize(("table", "size"), [*((table, "tiny") for table in TABLES), ("table3", "lite")])
def test_every_row_of_a_table_can_be_built(table, size):
    names = []
    for name, config in rows(table, size):
        names.append(name)
        for stage in taking_part(config):
            build(config.stages[stage])
    assert len(set(names)) == len(names)


def test_table_1_has_the_papers_lines_and_each_trains_what_it_needs():
    found = dict(rows("table1", "tiny"))
    assert [int(name[:2]) for name in found] == list(range(1, 26))
    lines = {int(name[:2]): config for name, config in found.items()}
    trained = {number: set(taking_part(config)) for number, config in lines.items()}
    assert trained[1] == {"switch", "s", "sta"}
    assert trained[7] == {"switch", "sa", "sa_fine", "sta"}
    assert trained[5] == {"switch", "s", "st", "sa", "sta"}
    assert trained[9] == trained[11] - {"switch"}
    assert trained[16] == {"switch", "sa_plus_long", "sta"}
    assert trained[22] == trained[24] - {"switch"}
    assert trained[25] == set(PROCEDURE)
    assert [number for number, config in lines.items() if config.pseudofix.selective] == [5, 9, 11, 21, 22, 24, 25]
    assert [number for number, config in lines.items() if config.pseudofix.fine] == [6, 7, 8, 9, 10, 11, 25]
    refined = {
        number for number in lines if number > 12 and trained[number] & {"s_plus_short", "sa_plus_long", "st_plus_cross"}
    }
    assert all(lines[number].stages.s_plus_short.net.refine == (number != 21) for number in refined)
    assert [number for number, config in lines.items() if config.stages.s.net.refine] == [12]


def values(table: str, *fields: str) -> list[tuple]:
    found = []
    for _, config in rows(table, "tiny"):
        row = []
        for field in fields:
            node = config
            for name in field.split("."):
                node = node[name]
            row.append(node)
        found.append(tuple(row))
    return found


def test_tables_2_to_6_vary_what_the_paper_varies():
    assert values("table2", "pseudofix.fine", "pseudofix.sources") == [
        (fine, sources) for fine in (False, True) for sources in (("CAM_sta",), ("S", "ST", "SA"))
    ]
    fuses = ["addition", "multiplication", "concatenation", "bilinear", "sa_fuse"]
    assert values("table3", "stages.sa_plus_long.net.audio_fuse", "stages.sa_plus_cross.net.audio_fuse") == [
        (x, x) for x in fuses
    ]
    net = "stages.sta_plus_long.net"
    assert values("table4", f"{net}.refine", f"{net}.threshold", f"{net}.rate") == [
        (False, 0.8, 0.6),
        (True, 0.8, 0.4),
        (True, 0.8, 0.8),
        (True, 0.9, 0.6),
        (True, 0.7, 0.6),
        (True, 0.8, 0.6),
    ]
    steps_and_company = values("table5", f"{net}.steps", f"{net}.company")
    assert set(steps_and_company) == {(0, 2), *((m, 2) for m in (2, 3, 4, 5)), *((3, n) for n in (1, 2, 3, 4))}
    nets = ("sta", "sta_plus_short", "sta_plus_long")
    assert values("table6", "nets", "fusion") == [(nets, "paper"), (nets, "paper_agg"), *(((net,), "paper") for net in nets)]


def test_a_source_or_a_net_that_no_stage_trains_is_one_line():
    config = load(f"{CONFIGS}/ablations/table2.py:tiny", ["pseudofix.sources=('S', 'SAT')"])
    with pytest.raises(ConfigError, match=r"^pseudofix.sources: no stage trains SAT; there are CAM_sta, S, SA, ST$"):
        taking_part(config)
    config = load(f"{CONFIGS}/ablations/table2.py:tiny", ["nets=('sta_plus_long',)"])
    with pytest.raises(ConfigError, match=r"^nets: no stage trains sta_plus_long; there are sta$"):
        taking_part(config)


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.py")), ids=lambda path: path.stem)
def test_the_commands_of_a_docstring_can_be_typed(path):
    """Each loads with the fields that it sets, or is a sweep of this very file."""
    text = path.read_text().split('"""')[1].replace("\\\n", " ")
    commands = re.findall(r"^    (stajax .+|python launch/sweep.py .+)$", text, re.M)
    assert commands
    for command in commands:
        words = dotted(shlex.split(command, comments=True))
        if words[0] == "stajax":
            given = _parser().parse_args(words[1:])
            file, changes = given.config, given.changes
        else:
            file = words[words.index("--config") + 1]
            changes = [words[i + 1] for i, word in enumerate(words) if word == "--change"]
            assert sweep(str(CONFIGS.parent / file))
        assert (CONFIGS.parent / file.partition(":")[0]).resolve() == path.resolve()
        load(str(CONFIGS.parent / file), changes)
