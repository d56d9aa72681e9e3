"""Pickles read as data: nothing in them is imported, and nothing in them is called.

A pickle is a program for a stack machine. `load` interprets it with a machine of its own, over the opcodes that
`pickletools.genops` decodes, in which a global is only its two names (`Global`) and the result of a call is only a note of what
would have been called (`Instance`). So even a pickle that gets past the policy below has nothing to run.

The policy. (1) A pickle that names a global of a module of `DENIED`, or a builtin outside `HARMLESS`, is refused with that
name, whether it is called or not, for no checkpoint needs one. (2) The functions that build tensors, parameters and
containers are matched by name and restated, in `tensors.py` and here. (3) Every other global, such as the class of a pickled
module, is inert: its "instances" keep the arguments and the state that the pickle gave them and do nothing.

``getattr`` is harmless here, for it only makes a longer name, which the policy sees: that is how ``torch.relu`` is pickled.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from stajax.convert.errors import ConvertError

_DENIED = """
    _io _operator _pickle _posixsubprocess _winapi asyncio bdb cProfile cloudpickle code codeop commands ctypes dill distutils
    ftplib http imp importlib io marshal multiprocessing nt operator os pdb pickle pip pkgutil platform popen2 posix profile pty
    pydoc requests runpy setuptools shutil socket subprocess sys telnetlib timeit urllib urllib2 webbrowser
"""
_HARMLESS = """
    bool bytearray bytes complex dict float frozenset getattr int list long object range set slice str tuple unicode xrange
"""
DENIED, HARMLESS = frozenset(_DENIED.split()), frozenset(_HARMLESS.split())
_BUILTINS = ("builtins", "__builtin__")
_KEYS = (str, bytes, int, float, bool, type(None))


@dataclass(frozen=True)
class Global:
    """A class or function that the pickle names. It is never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Instance:
    """What a call of `function` would have given: its arguments, and the state, items and elements that were set on it."""

    function: Any
    args: Any
    state: Any = None
    items: dict = field(default_factory=dict)
    elements: list = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<{self.function}>" if isinstance(self.function, Global) else "<object>"  # others may nest without end


_LONGEST = 1000  # characters of a global's name


class UnpickleError(ValueError):
    """A pickle that is not well formed."""


def load(
    file: BinaryIO, persistent: Callable[[Any], Any] | None = None, build: Callable[[Global, Any], Any] | None = None
) -> Any:
    """The object of the one pickle that begins at the position of `file`, which stands behind it afterwards.

    file: anything with `read`, `readline` and `tell` whose `read(n)` stops at the end of the data (an mmap, a BytesIO).
    persistent: takes a persistent id, gives what it stands for. build: takes a global and the arguments of its call, gives
    the result, or None for an inert `Instance`. Sets come as lists.

    Raises ConvertError for a pickle that the policy refuses, ValueError and its like for one that is damaged.
    """
    return _Machine(persistent, build).run(file)


def _global(module: str, name: str) -> Global:
    """The global of that name. Raises ConvertError when no checkpoint needs it; see the policy."""
    if len(module) + len(name) > _LONGEST:
        raise UnpickleError("a global with an endless name")
    root, inner = module.split(".")[0], name.split(".")[:-1]
    builtin = root in _BUILTINS and not (module in _BUILTINS and name in HARMLESS)
    if builtin or not DENIED.isdisjoint([root, *inner]):
        raise ConvertError(
            f"the pickle names '{module[:80]}.{name[:80]}', which no checkpoint needs: it may be malicious; nothing in it "
            "was run; get the file from a source that you trust"
        )
    return Global(module, name)


class _Machine:
    """The pickle machine: a stack, the stacks below the marks, a memo."""

    def __init__(self, persistent: Callable | None, build: Callable | None):
        self.persistent, self.build = persistent, build
        self.stack: list = []
        self.below: list[list] = []
        self.memo: dict[int, Any] = {}

    def run(self, file: BinaryIO) -> Any:
        for opcode, argument, _ in pickletools.genops(file):
            name = opcode.name
            if name == "STOP":
                return self.stack.pop()
            if name in _CONSTANTS:
                self.stack.append(argument)
            elif name in _VALUES:
                self.stack.append(_VALUES[name]())
            elif name in _STEPS:
                _STEPS[name](self, argument)
            elif name not in ("PROTO", "FRAME"):
                raise UnpickleError(f"opcode {name} does not belong in a checkpoint")
        raise UnpickleError("the pickle has no end")

    def marked(self) -> list:
        """What lies above the last mark, taken off the stack."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def call(self, function: Any, args: Any) -> Any:
        """The result of a call, or what stands for it."""
        if isinstance(function, Global):
            if str(function) == "collections.OrderedDict":
                return {_key(k): v for k, v in args[0]} if args else {}  # the pairs as an argument: Python 2
            if function.module in _BUILTINS and function.name in ("set", "frozenset", "list"):
                return args[0] if args and isinstance(args[0], list) else list(args[0]) if args else []
            if function.module in _BUILTINS and function.name == "getattr" and isinstance(args[0], Global):
                if not isinstance(args[1], str):
                    raise UnpickleError("an attribute whose name is not text")
                return _global(args[0].module, f"{args[0].name}.{args[1]}")
            if self.build and (result := self.build(function, args)) is not None:
                return result
        return Instance(function, args)

    # One method for every kind of step; `argument` is the opcode's own.

    def mark(self, _) -> None:
        self.below.append(self.stack)
        self.stack = []

    def named(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.stack.append(_global(module, name))

    def named_on_stack(self, _) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(module, str) and isinstance(name, str)):
            raise UnpickleError("a global whose name is not text")
        self.stack.append(_global(module, name))

    def reduce(self, _) -> None:
        args, function = self.stack.pop(), self.stack.pop()
        self.stack.append(self.call(function, args))

    def reduce_with_keywords(self, _) -> None:
        self.stack.pop()
        self.reduce(None)

    def instance_of_named(self, argument: str) -> None:
        args = tuple(self.marked())
        self.named(argument)
        self.stack.append(self.call(self.stack.pop(), args))

    def instance_above_mark(self, _) -> None:
        function, *args = self.marked()
        self.stack.append(self.call(function, tuple(args)))

    def set_state(self, _) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Instance):
            target.state = state

    def set_items(self, pairs: list) -> None:
        target = self.stack[-1]
        items = target.items if isinstance(target, Instance) else target
        if not isinstance(items, dict) or len(pairs) % 2:
            raise UnpickleError("items set on something that is no dict")
        items.update({_key(k): v for k, v in zip(pairs[::2], pairs[1::2], strict=True)})

    def add_elements(self, elements: list) -> None:
        target = self.stack[-1]
        target = target.elements if isinstance(target, Instance) else target
        if not isinstance(target, list):
            raise UnpickleError("elements added to something that is no list")
        target.extend(elements)

    def set_item(self, _) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    def last(self, count: int) -> tuple:
        items = tuple(self.stack[-count:])
        if len(items) < count:
            raise UnpickleError("a tuple of more than there is")
        del self.stack[-count:]
        return items

    def dict_above_mark(self, _) -> None:
        pairs = self.marked()
        self.stack.append({})
        self.set_items(pairs)

    def remember(self, index: int | None) -> None:
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def persistent_id(self, argument: Any) -> None:
        if self.persistent is None:
            raise UnpickleError("a reference to something outside of the pickle")
        self.stack.append(self.persistent(argument))


_PUSHED = """
    INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE SHORT_BINUNICODE
    BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8
"""
_CONSTANTS = frozenset(_PUSHED.split())
_VALUES: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,
}
_STEPS: dict[str, Callable[[_Machine, Any], Any]] = {
    "MARK": _Machine.mark,
    "POP": lambda m, _: m.stack.pop() if m.stack else m.marked(),
    "POP_MARK": lambda m, _: m.marked(),
    "DUP": lambda m, _: m.stack.append(m.stack[-1]),
    "TUPLE": lambda m, _: (items := tuple(m.marked()), m.stack.append(items)),
    "TUPLE1": lambda m, _: m.stack.append(m.last(1)),
    "TUPLE2": lambda m, _: m.stack.append(m.last(2)),
    "TUPLE3": lambda m, _: m.stack.append(m.last(3)),
    "LIST": lambda m, _: (items := m.marked(), m.stack.append(items)),
    "FROZENSET": lambda m, _: (items := m.marked(), m.stack.append(items)),
    "DICT": _Machine.dict_above_mark,
    "APPEND": lambda m, _: m.add_elements([m.stack.pop()]),
    "APPENDS": lambda m, _: m.add_elements(m.marked()),
    "ADDITEMS": lambda m, _: m.add_elements(m.marked()),
    "SETITEM": _Machine.set_item,
    "SETITEMS": lambda m, _: m.set_items(m.marked()),
    "GET": lambda m, i: m.stack.append(m.memo[i]),
    "BINGET": lambda m, i: m.stack.append(m.memo[i]),
    "LONG_BINGET": lambda m, i: m.stack.append(m.memo[i]),
    "PUT": _Machine.remember,
    "BINPUT": _Machine.remember,
    "LONG_BINPUT": _Machine.remember,
    "MEMOIZE": _Machine.remember,
    "GLOBAL": _Machine.named,
    "STACK_GLOBAL": _Machine.named_on_stack,
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.reduce,
    "NEWOBJ_EX": _Machine.reduce_with_keywords,
    "INST": _Machine.instance_of_named,
    "OBJ": _Machine.instance_above_mark,
    "BUILD": _Machine.set_state,
    "PERSID": _Machine.persistent_id,
    "BINPERSID": lambda m, _: m.persistent_id(m.stack.pop()),
}


def _key(key: Any) -> Any:
    """`key` as a dict key: anything but a plain value becomes one of its own, for the hash of a crafted tuple may not end."""
    return key if isinstance(key, _KEYS) else Instance(None, key)
