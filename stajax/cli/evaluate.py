"""`stajax evaluate`."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from stajax.cli import arguments
from stajax.cli.progress import Counter, complain
from stajax.evaluation.baselines.catalogue import BASELINES

EXAMPLES = """\
examples:
  stajax evaluate --pred out --truth stavis/data --protocol stavis --workers 8 -o scores
  stajax evaluate --pred out --truth stavis/data --protocol stavis --option all=1     # every video once, without folds
  stajax evaluate --pred out --truth stavis/data --protocol stavis --option other=dataset empty=drop --also auc,auc_judd_chance
  stajax evaluate --pred out --truth osie --protocol osie --baselines
  stajax evaluate --truth ucf --protocol ucf --baselines centre_prior,gbvs     # no prediction: baselines alone
  stajax evaluate --pred out --truth mine --protocol plain --option sigma_degrees=1 screen_cm=52 distance_cm=90

options of protocols (--option K=V, or several after one --option):
  all          other=video|dataset|n_random|FILE  negatives of s-AUC: what is fixated on all frames of the same video, on all
                                                  other videos of the data set, on some frames of them, or a map of your own
               n_random=10 seed=0                 how many frames those are, and their draw
               empty=zero|drop                    SIM of a frame without fixations: 0, or left out
               blank=drop|chance                  a map of zeros, of one value or with NaN: left out where a metric has no value
                                                  for it, or scored at chance
  diem, plain  sigma=32                           of density maps, in pixels of the frame
               sigma_degrees=1                    the same in degrees, with pixels_per_degree=35, or with screen_cm=52
                                                  distance_cm=90, the picture's width and the eye's distance
  stavis       first_frame=9 all=1                where to begin; every video once, without folds
  diem         step=30                            every 30th frame

writes results.json, per_frame.csv, per_video.csv and report.html, which opens from disk, into DIR. docs/evaluation.md tells
the layout of each protocol's folder, docs/benchmarks.md where the six benchmarks come from.
"""


def add(commands) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="five metrics of predicted maps on a data set, and a report",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pred", metavar="DIR", help="predicted maps: results of stajax predict, PNGs, STAViS's own folders")
    parser.add_argument("--truth", required=True, metavar="DIR", help="the data set")
    parser.add_argument("--protocol", required=True, metavar="P", help="stavis, osie, ucf, diem or plain")
    parser.add_argument(
        "--compat", metavar="C", help="whose metrics: mit, stavis or pysaliency (default: the protocol's usual)"
    )
    parser.add_argument("--workers", type=arguments.count, default=1, metavar="N", help="processes (default: 1)")
    parser.add_argument(
        "--baselines",
        nargs="?",
        type=arguments.names,
        const=["all"],
        default=[],
        metavar="N,N",
        help=f"score these too: {', '.join(BASELINES)} (default: those the data set allows)",
    )
    parser.add_argument(
        "--also",
        type=arguments.names,
        default=[],
        metavar="N,N",
        help="metrics beside the five: auc, auc_judd_chance, auc_borji, kl_divergence, info_gain, or all",
    )
    parser.add_argument("--datasets", type=arguments.names, metavar="N,N", help="which of the protocol's data sets")
    parser.add_argument("--splits", type=arguments.names, metavar="N,N", help="which splits, such as train,test for osie")
    parser.add_argument(
        "--option", action="extend", nargs="+", default=[], metavar="K=V", help="of the protocol, such as sigma=32; see below"
    )
    parser.add_argument("--average", default="splits", choices=("splits", "once"), help="splits as STAViS, or each video once")
    parser.add_argument("--name", help="the prediction's name in the results (default: its folder's)")
    parser.add_argument("--strict", action="store_true", help="stop at the first map that is missing or broken")
    parser.add_argument("-o", "--out", default="evaluation", metavar="DIR", help="where the files go (default: evaluation)")
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    from stajax.convert.errors import listed
    from stajax.evaluation.evaluate import evaluate, possible_baselines, write
    from stajax.evaluation.metrics import BESIDE
    from stajax.evaluation.report import example_frames, write_html
    from stajax.media import OutputError
    from stajax.media.atomic import writing

    counter, out = Counter("frames"), Path(given.out)
    if out.exists() and not out.is_dir():  # told now, not after hours of scoring
        raise OutputError(f"{out}: a file, not a folder; choose another -o")
    try:
        options = dict(_option(text) for text in given.option)
        baselines = given.baselines
        if baselines == ["all"]:
            baselines = possible_baselines(given.truth, given.protocol, given.datasets, given.splits, options)
        evaluation = evaluate(
            given.pred,
            given.truth,
            given.protocol,
            compat=given.compat,
            workers=given.workers,
            baselines=baselines,
            also=BESIDE if given.also == ["all"] else given.also,
            progress=lambda progress: counter(progress.done, progress.total, progress.video),
            datasets=given.datasets,
            splits=given.splits,
            name=given.name,
            strict=given.strict,
            options=options,
        )
        counter.close()
        command = "stajax " + shlex.join(sys.argv[1:])
        with writing(out):
            write(evaluation, out)
            write_html(evaluation, out / "report.html", pictures=example_frames(evaluation), command=command)
    except (OutputError, RuntimeError) as error:
        return complain(error, 1)
    except (ValueError, ImportError) as error:
        return complain(error, 2)
    if missing := evaluation.settings["videos_without_prediction"]:
        print(f"stajax: warning: without a prediction and left out: {listed(missing)}", file=sys.stderr)
    print(evaluation.table(given.average))
    print(f"{out / 'report.html'}, with results.json, per_frame.csv and per_video.csv beside it")
    return 0


def _option(text: str) -> tuple[str, float | int | str]:
    """A whole number, a number or a word; what it may be is the protocol's business."""
    key, _, value = text.partition("=")
    if not key or not value:
        raise ValueError(f"--option {text}: give KEY=VALUE, such as sigma=32")
    for kind in (int, float):
        try:
            return key, kind(value)
        except ValueError:
            continue
    return key, value
