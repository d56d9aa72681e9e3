"""Both ways of reading a torch file against torch.save and torch's own values."""

import numpy as np
import pytest
from torch_files import parameter

from stajax.convert import ConvertError, read_checkpoint

torch = pytest.importorskip("torch")
W, B = np.ones((2, 3, 1, 1), np.float32), np.arange(2, dtype=np.float32)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(2, 3, 1)
        self.norm = torch.nn.BatchNorm2d(3)
        self.register_buffer("passing", torch.ones(2), persistent=False)
        self.register_buffer("kept", torch.ones(3))
        self.layers = torch.nn.ModuleList([torch.nn.Linear(2, 3, bias=False), torch.nn.LSTM(2, 3)])
        self.gain = torch.nn.Parameter(torch.randn(3))
        self.activation = torch.relu


X, NET = torch.linspace(-1, 1, 20).reshape(4, 5), Net()
DTYPES = ("float16", "bfloat16", "float32", "float64", "int64", "int32", "int16", "int8", "uint8", "uint16", "bool")
SHARED = torch.nn.Linear(3, 3)
CONTENTS = {
    "state dict": NET.state_dict(),
    "DataParallel": torch.nn.DataParallel(NET).state_dict(),
    "training state": {
        "epoch": 3,
        "state_dict": torch.nn.DataParallel(NET).state_dict(),
        "optimizer": torch.optim.Adam(NET.parameters()).state_dict(),
    },
    "dtypes": {name: (10 * X).to(getattr(torch, name)) for name in DTYPES},
    "views": {"t": X.t(), "s": X[1:, ::2], "x": X, "scalar": X[2, 3], "e": X[0, :1].expand(5), "none": X[:0]},
    "parameters": {"p": torch.nn.Parameter(X), "q": torch.nn.Parameter(X[1], requires_grad=False)},
    "shared weights": torch.nn.Sequential(SHARED, SHARED).state_dict(),
}


@pytest.fixture(params=["torch.load", "restricted reader"])
def read(request, monkeypatch):
    if request.param == "restricted reader":
        monkeypatch.setattr("stajax.convert.readers._torch_load", lambda *args, **kwargs: None)
    return read_checkpoint


def values(content):
    """The tensors of a state dict as torch itself gives them."""
    content = content.get("state_dict", content)
    tensors = {name.removeprefix("module."): tensor.detach() for name, tensor in content.items()}
    return {name: (t.float() if t.dtype == torch.bfloat16 else t).numpy() for name, t in tensors.items()}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", CONTENTS)
def test_both_readers_against_torch(tmp_path, read, same, name, zipped):
    torch.save(CONTENTS[name], tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    same(read(tmp_path / "x.pt").tensors, values(CONTENTS[name]))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("net", [NET, torch.nn.DataParallel(NET)], ids=["bare", "DataParallel"])
def test_pickled_modules_against_their_state_dict(tmp_path, read, same, monkeypatch, net, zipped):
    torch.save(net, tmp_path / "27001.pt", _use_new_zipfile_serialization=zipped)
    monkeypatch.delitem(globals(), "Net")  # the reader must do without the class
    same(read(tmp_path / "27001.pt").tensors, values(net.state_dict()))


def test_torch_load_is_what_reads_a_state_dict(tmp_path, monkeypatch):
    """With weights_only, whatever the defaults of the torch that is installed."""
    asked = []
    monkeypatch.setattr(torch, "load", lambda path, **options: asked.append(options) or {"w": torch.ones(2)})
    torch.save({"v": torch.ones(3)}, tmp_path / "x.pt")
    assert list(read_checkpoint(tmp_path / "x.pt").tensors) == ["w"]
    assert [options["weights_only"] for options in asked] == [True]


def test_files_by_hand_against_torch_load(tmp_path, same, storages):
    """Holds the writer of these tests to be right."""
    file = storages.write(tmp_path / "x.pt", {"w": storages.tensor(W), "p": parameter(storages.tensor(B))})
    same({name: tensor.detach().numpy() for name, tensor in torch.load(file, weights_only=True).items()}, {"w": W, "p": B})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kind", ["quantised", "sparse", "complex64", "float8_e5m2"])
def test_kinds_of_tensor_that_both_readers_refuse(tmp_path, read, kind, zipped):
    bad = {
        "quantised": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        "sparse": lambda: torch.eye(3).to_sparse(),
        "complex64": lambda: torch.ones(2, dtype=torch.complex64),
        "float8_e5m2": lambda: torch.ones(2).to(torch.float8_e5m2),
    }[kind]()
    torch.save({"fine": torch.ones(2), "bad": bad}, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ConvertError, match=f"x.pt: bad: .*{kind}.* cannot be converted"):
        read(tmp_path / "x.pt")


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_torchscript_of_torch_is_named(tmp_path, refusal):
    torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)).save(str(tmp_path / "x.pt"))
    assert "a TorchScript archive" in refusal(tmp_path / "x.pt")
