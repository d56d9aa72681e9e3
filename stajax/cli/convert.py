"""`stajax convert`."""

from __future__ import annotations

import argparse
import os
import sys

EXAMPLES = """\
examples:
  stajax convert STANet.pth -o stanet
  stajax convert STANet.pth STAGCN.pth 27001.pt -o stanet-plus     # STA, STA+ and the audio switch: one model, fused
  stajax convert short=A.pth long=B.pth -o both                    # names of the nets; long gets long-term company
  stajax predict clip.mp4 --weights stanet-plus --fusion released_max

Reads .pth, .pt, .pth.tar, .safetensors and .npz, and runs nothing that is in them. What the net is, its tensors tell:
S, SA, ST, S+, SA+, ST+, STA, STA+ and the audio switch of both releases, VGG-16, ResNet-50, ResNeXt-101 32x8d, VGGSound's net.
Writes a model folder with conversion_report.json: every tensor, where it went, its shape, norm and checksum.
"""


def add(commands) -> None:
    parser = commands.add_parser(
        "convert",
        help="a PyTorch checkpoint to a model folder",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", metavar="[NET=]FILE", help="checkpoint files; NET= sets the name of its net")
    parser.add_argument("-o", "--out", required=True, metavar="DIR", help="the model folder to write")
    parser.add_argument("--float16", action="store_true", help="halve the folder; rounds the numbers to 3 digits")
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    from stajax.convert import convert

    # A file may have "=" in its name: what exists is a file.
    sources = [(None, x) if os.path.exists(x) or "=" not in x else tuple(x.split("=", 1)) for x in given.files]
    done = convert(
        sources,
        given.out,
        dtype="float16" if given.float16 else "float32",
        report=lambda message: print(message, file=sys.stderr),
    )
    print(f"{', '.join(made.title for made in done)} -> {given.out}; conversion_report.json lists every tensor")
    return 0
