"""Pickles that would run something, or fill the memory: refused in one line, and nothing runs.

Every payload would make a file; a control shows that it does so when Python unpickles it.
"""

import os
import pickle
import struct
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from torch_files import Call, Named, New, Persistent, Raw, Storages, dumps, module, pickled, view, write_legacy, write_zip

from stajax.convert import ConvertError, read_checkpoint

pytestmark = pytest.mark.usefixtures("either_way")
W = np.arange(6, dtype=np.float32)

DANGEROUS = {
    "os.system": lambda made: (f"touch {made}",),
    "posix.system": lambda made: (f"touch {made}",),
    "subprocess.Popen": lambda made: (["touch", str(made)],),
    "builtins.eval": lambda made: (f"open({str(made)!r}, 'w')",),
    "builtins.exec": lambda made: (f"open({str(made)!r}, 'w')",),
    "__builtin__.eval": lambda made: (f"open({str(made)!r}, 'w')",),
    "builtins.open": lambda made: (str(made), "w"),
    "builtins.__import__": lambda made: ("antigravity",),
    "importlib.import_module": lambda made: ("antigravity",),
    "runpy.run_path": lambda made: (str(made),),
    "shutil.rmtree": lambda made: (str(made),),
    "pickle.loads": lambda made: (b"cos\nsystem\n.",),
}


@pytest.fixture
def made(tmp_path):
    """The file that a payload would make."""
    return tmp_path / "made"


class Evil:
    """Pickles itself as a call of `function`."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def split(name):
    return Named(*name.rsplit(".", 1))


def payloads(made):
    """Real pickles of calls that make the file `made`."""
    return {
        "os.system": Evil(os.system, f"touch {made}"),
        "subprocess.Popen": Evil(subprocess.check_call, ["touch", str(made)]),
        "eval": Evil(eval, f"open({str(made)!r}, 'w').close()"),
        "exec": Evil(exec, f"open({str(made)!r}, 'w').close()"),
    }


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("payload", ["os.system", "subprocess.Popen", "eval", "exec"])
def test_real_payloads_run_in_pickle_and_not_here(tmp_path, made, refusal, payload, protocol):
    data = pickle.dumps({"state_dict": payloads(made)[payload]}, protocol)
    pickle.loads(data)
    assert made.exists()  # the control: it is a payload
    made.unlink()
    (tmp_path / "raw.pt").write_bytes(data)
    write_zip(tmp_path / "zip.pt", data)
    write_legacy(tmp_path / "legacy.pt", data)
    for name in ("raw.pt", "zip.pt", "legacy.pt"):
        assert "which no checkpoint needs: it may be malicious" in refusal(tmp_path / name)
    assert not made.exists()


@pytest.mark.parametrize("name", DANGEROUS)
def test_dangerous_names_are_refused_by_name(tmp_path, made, storages, refusal, name):
    content = {"w": storages.tensor(W), "x": Call(split(name), DANGEROUS[name](made))}
    assert f"the pickle names '{name}'" in refusal(storages.write(tmp_path / "x.pt", content))
    assert not made.exists()


PLACES = {
    "a value": lambda s, evil: {"w": s.tensor(W), "x": evil},
    "a key": lambda s, evil: {"w": s.tensor(W), evil: 1},
    "a tensor's metadata": lambda s, evil: {"w": view(s.put(W), 0, (6,), (1,), metadata=evil)},
    "a tensor's shape": lambda s, evil: {"w": view(s.put(W), 0, evil, (1,))},
    "a storage": lambda s, evil: {"w": view(Persistent(("storage", evil, "0", "cpu", 6)), 0, (6,), (1,))},
    "a persistent id": lambda s, evil: {"w": view(Persistent(evil), 0, (6,), (1,))},
    "the state of a module": lambda s, evil: module("__main__.Net", {"w": s.tensor(W)}, {"b": evil}),
    "the arguments of a module": lambda s, evil: New(Named("__main__", "Net"), (evil,), {"_parameters": {}, "_modules": {}}),
    "an optimiser": lambda s, evil: {"state_dict": {"w": s.tensor(W)}, "optimizer": [evil]},
    "a call of what a call gave": lambda s, evil: Call(evil, ("x",)),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_payload_is_refused_wherever_it_is(tmp_path, made, storages, refusal, place):
    evil = Call(Named("os", "system"), (f"touch {made}",))
    assert "'os.system'" in refusal(storages.write(tmp_path / "x.pt", PLACES[place](storages, evil)))
    assert not made.exists()


@pytest.mark.parametrize("part", range(5))
def test_every_pickle_of_a_legacy_file_is_under_the_policy(tmp_path, made, refusal, part):
    parts = [pickle.dumps(x, 2) for x in (0x1950A86A20F9469CFC6C, 1001, {}, {}, [])]
    parts[part] = dumps(Call(Named("os", "system"), (f"touch {made}",)))
    (tmp_path / "x.pt").write_bytes(b"".join(parts))
    assert "'os.system'" in refusal(tmp_path / "x.pt")
    assert not made.exists()


@pytest.mark.parametrize(
    "opcodes",
    [
        b"(S'touch MADE'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'touch MADE'\no.",  # OBJ
        b"cos\nsystem\n(S'touch MADE'\ntR.",  # GLOBAL, REDUCE
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0atouch MADE\x85R.",  # STACK_GLOBAL
        b"\x80\x04cos\nsystem\n\x8c\x0atouch MADE\x85}\x92.",  # NEWOBJ_EX
    ],
)
def test_every_opcode_that_calls_is_under_the_policy(tmp_path, made, refusal, opcodes, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file in (write_zip(tmp_path / "x.pt", opcodes), write_legacy(tmp_path / "y.pt", opcodes)):
        assert "'os.system'" in refusal(file)
    assert not (tmp_path / "MADE").exists()


def test_detours_to_a_dangerous_name_are_refused(tmp_path, storages, refusal):
    """By a module that happens to import os, in the name or with getattr; a module within builtins."""
    serialization = Named("torch.serialization", "os")
    detours = [
        Named("torch.serialization", "os.system"),
        Call(Named("builtins", "getattr"), (serialization, "system")),
        Call(Call(Named("builtins", "getattr"), (serialization, "path.os.system")), ("true",)),
        Named("builtins.x", "dict"),
        Named("os.path", "join"),
    ]
    for detour in detours:
        assert "may be malicious" in refusal(storages.write(tmp_path / "x.pt", {"w": storages.tensor(W), "x": detour}))


def test_what_the_policy_does_not_know_is_not_run_either(tmp_path, made, storages, same, monkeypatch):
    """A function of a module that can be imported, called, given a state, items and elements: inert; the tensors come out."""
    (tmp_path / "innocent_of_the_test.py").write_text(f"open({str(made)!r}, 'w').close()\ndef run(*args): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    called = pickled(Call(Named("innocent_of_the_test", "run"), ("x",), {"state": 1}))
    touched = called + pickled("k") + pickled(1) + b"s" + pickled("element") + b"a"
    content = {"w": storages.tensor(W), "x": Raw(touched), "y": Call(Raw(called), ())}
    same(read_checkpoint(storages.write(tmp_path / "x.pt", content)).tensors, {"w": W})
    assert not made.exists() and "innocent_of_the_test" not in sys.modules


def test_extensions_and_buffers_outside_of_the_pickle_are_refused(tmp_path, refusal):
    for opcodes in (b"\x80\x02\x82\x01.", b"\x80\x05\x97.", b"\x80\x05\x97\x98."):
        assert "does not belong in a checkpoint" in refusal(write_zip(tmp_path / "x.pt", opcodes))


# Bombs


@pytest.fixture
def bounded():
    """No more than 64 MB of Python's memory at any time."""
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64e6


HUGE = 2**40


@pytest.mark.usefixtures("bounded")
def test_storages_larger_than_the_file_are_refused(tmp_path, storages, refusal):
    for claimed in (7, 50, HUGE):
        for shape in ((6,), (claimed,)):
            key = storages.put(W).identifier[2]
            content = {"w": view(storages.claim(key, "float32", claimed), 0, shape, (1,))}
            message = refusal(storages.write(tmp_path / "x.pt", content))
            assert f"holds 24 bytes where the pickle claims {4 * claimed}" in message


@pytest.mark.usefixtures("bounded")
def test_a_legacy_storage_that_says_it_is_huge_is_refused(tmp_path, refusal):
    storages = Storages(legacy=True)
    file = storages.write(tmp_path / "x.pt", {"w": storages.tensor(W)})
    for size in (7, HUGE, 2**62):
        file.write_bytes(file.read_bytes()[: -W.nbytes - 8] + struct.pack("<q", size) + W.tobytes())
        assert "cut short" in refusal(file)


@pytest.mark.usefixtures("bounded")
def test_one_value_expanded_without_end_is_refused(tmp_path, storages, refusal):
    content = {"w": view(storages.put(W), 0, (HUGE, HUGE), (0, 0))}
    assert "many times what the file holds" in refusal(storages.write(tmp_path / "x.pt", content))


@pytest.mark.usefixtures("bounded")
def test_many_views_of_one_storage_are_refused(tmp_path, storages, refusal):
    on = storages.put(np.zeros(100_000, np.float32))
    content = {f"w{i}": view(on, 0, (99_999 - i,), (1,)) for i in range(20)}
    assert "many times what the file holds" in refusal(storages.write(tmp_path / "x.pt", content))


def test_views_beyond_their_storage_are_refused(tmp_path, storages, refusal):
    for offset, shape, stride in ((0, (7,), (1,)), (6, (), ()), (0, (2, 2), (5, 1)), (-1, (2,), (1,)), (0, (2,), (-1,))):
        message = refusal(storages.write(tmp_path / "x.pt", {"w": view(storages.put(W), offset, shape, stride)}))
        assert "reaches beyond its storage" in message or "damaged" in message


def test_a_storage_key_is_no_path(tmp_path, refusal):
    storages = Storages()
    (tmp_path / "secret").write_bytes(W.tobytes())
    storages.put(W)
    content = {"w": view(storages.claim("../../../secret", "float32", 6), 0, (6,), (1,))}
    assert "storage '../../../secret' is missing" in refusal(storages.write(tmp_path / "x.pt", content))


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize(
    "opcodes",
    [
        b"Nr\xff\xff\xff\x7f0}.",  # a memo of two thousand million places
        b"\x8d" + struct.pack("<Q", 2**62) + b"x.",  # a text of 2**62 bytes
        b"B\xff\xff\xff\xffx.",
        b"\x8b\xff\xff\xff\x7fx.",  # a number of two thousand million bytes
        b"(" * 30_000 + b"t" * 29_999 + b".",
        b"N" + b"\x85" * 30_000 + b"}" + b"\x85" * 10 + b".",
        b"}" + b"N" + b"\x85" * 30_000 + b"Ns.",  # a key whose hash would take as deep a stack
    ],
)
def test_crafted_sizes_and_depths_end_in_one_line(tmp_path, refusal, opcodes):
    for file in (write_zip(tmp_path / "x.pt", b"\x80\x04" + opcodes), write_legacy(tmp_path / "y.pt", b"\x80\x04" + opcodes)):
        refusal(file)


MEMO = 1000  # above the places that the pickler of the plain values takes


def remembered(cls, index, children):
    """A module that the pickle remembers as `index`, before its children (given as opcodes)."""
    made = pickled(New(Named("__main__", cls), ())) + b"r" + struct.pack("<I", MEMO + index)
    modules = {name: Raw(opcodes) for name, opcodes in children.items()}
    return made + pickled({"_parameters": {}, "_buffers": {}, "_modules": modules}) + b"b"


def recalled(index):
    return b"j" + struct.pack("<I", MEMO + index)


def test_a_module_that_holds_itself_is_refused(tmp_path, storages, refusal):
    file = storages.write(tmp_path / "x.pt", Raw(remembered("Net", 0, {"again": recalled(0)})))
    assert "holds itself" in refusal(file)


@pytest.mark.usefixtures("bounded")
def test_modules_that_hold_each_other_twice_are_refused(tmp_path, storages, refusal):
    """Thirty modules, each twice in the next: a thousand million names."""
    levels = [Raw(remembered("Net", i, {"a": recalled(i - 1), "b": recalled(i - 1)} if i else {})) for i in range(30)]
    file = storages.write(tmp_path / "x.pt", {"levels": levels, "model": Raw(recalled(29))})
    assert "too many modules" in refusal(file)


def test_a_dict_that_holds_itself_is_refused(tmp_path, refusal):
    file = write_zip(tmp_path / "x.pt", b"\x80\x02}q\x00" + pickled("model") + b"h\x00s.")
    assert "its top-level keys: model" in refusal(file)


def test_names_cannot_forge_lines(tmp_path, storages):
    content = {"ok\nstajax: all is well\x1b[2J": view(storages.put(np.ones(2, np.complex64)), 0, (2,), (1,))}
    with pytest.raises(ConvertError) as caught:
        read_checkpoint(storages.write(tmp_path / "x.pt", content))
    assert str(caught.value).isprintable()
