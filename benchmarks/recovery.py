"""Drift that fine-tuning wins back: each quantization as it is applied, and as it is trained for.

    python benchmarks/recovery.py --out DIR [--data SPEC] [--epochs N] [--schemes int4 palette4 w8a8]
        [--json benchmarks/results/recovery.json]

Fine-tunes the built-in checkpoint on the #train part of the data for each scheme, exports what was learned, and holds the package against
the float network on the #val part, beside the package of the untrained network with the same scheme. Without --data it takes
nyu_train795.zip from the folder that FCRN_TEST_DATA names, or else the built-in sample. Runs stay in DIR; one that is there and complete
is not trained again, one that was interrupted goes on. Packages run in the MIL runtime in float16: simulated, not run on a device.

That an export keeps what was learned shows in the package's distance to the fine-tuned network, which is that of half precision. Not so
with int8 activations, where values on the brink of two steps fall either way: an input changed by 1e-4 of itself moved the fine-tuned
network's own output by 0.03. There, the package's drift from the float network is to be that of the fine-tuned one.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from shelf import default_data

from fcrn_mobile.conversion.export import artefact_size, export
from fcrn_mobile.conversion.recipe import Recipe, make_recipe
from fcrn_mobile.data import open_source
from fcrn_mobile.data.grammar import portable
from fcrn_mobile.evaluation.metrics import protocol
from fcrn_mobile.network.checkpoints import load_checkpoint
from fcrn_mobile.quantize.scheme import ACTIVATION_NAMES, LEARNED
from fcrn_mobile.runtimes import open_runtime
from fcrn_mobile.training.run import make_run
from fcrn_mobile.training.train import resume, train
from fcrn_mobile.validation.drift import validate
from fcrn_mobile.validation.result import Drift

#: Images on which activations of the untrained network are calibrated.
CALIBRATED_ON = 64
#: Written into a run's folder when its training is complete.
DONE = "epochs.txt"


def main() -> None:
    """Fine-tune, export, validate, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=default_data())
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--schemes", nargs="+", choices=LEARNED, default=["int4", "palette4", "w8a8"])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for scheme in arguments.schemes:
        run = arguments.out / scheme
        fine_tune(scheme, run, arguments.data, arguments.epochs, arguments.lr)
        rows.append({"scheme": scheme} | compare(scheme, run, arguments.data))
    result = {
        "data": portable(f"{arguments.data}#val"),
        "epochs": arguments.epochs,
        "lr": arguments.lr,
        "checkpoint_sha256": load_checkpoint("builtin").sha256,
        "schemes": rows,
    }
    show(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def fine_tune(scheme: str, run: Path, data: str, epochs: int, lr: float) -> None:
    """Train, or go on where an interrupted run stood."""
    if (run / DONE).exists():
        return
    if (run / "last.ckpt").exists():
        resume(run)
    else:
        settings = {"resume": "builtin", "quantization": scheme, "data": data, "epochs": epochs, "lr": lr, "cache_mb": 500}
        train(make_run(settings), run)
    (run / DONE).write_text(f"{epochs}\n")


def compare(scheme: str, run: Path, data: str) -> dict[str, Any]:
    """Package of the untrained and of the fine-tuned network against the float one; and the latter against the module it was made from."""
    best = run / "best.safetensors"
    untrained, learned = run / "untrained.mlpackage", run / "learned.mlpackage"
    export(load_checkpoint("builtin"), recipe_for(scheme, data), untrained, force=True)
    export(load_checkpoint(str(best)), recipe_for(scheme), learned, force=True)
    source, rule = open_source(f"{data}#val"), protocol("eigen")
    packages = [open_runtime(str(path), "mil", "float16") for path in (untrained, learned)]
    found = validate(open_runtime("builtin"), [*packages, open_runtime(str(best))], source, rule)
    kept = validate(open_runtime(str(best)), packages[1:], source, rule).candidates[0]
    before, after, network = found.candidates
    return {
        "images": found.reference_metrics["images"],
        "size_bytes": artefact_size(learned),
        "reference_abs_rel": found.reference_metrics["abs_rel"],
        "untrained": figures(before),
        "fine_tuned": figures(after),
        "fine_tuned_network": figures(network),
        "package_to_network": kept.fidelity.abs_rel,
        "engine": after.engine,
    }


def recipe_for(scheme: str, data: str = "") -> Recipe:
    """What the scheme is trained for; activations of an untrained network are calibrated."""
    values: dict[str, Any] = dict(LEARNED[scheme])
    if data and values["precision"] in ACTIVATION_NAMES:
        images = min(CALIBRATED_ON, len(open_source(f"{data}#train")))
        values["calibration"] = {"data": f"{data}#train", "images": images, "method": "mse"}
    return make_recipe(values, scheme)


def figures(drift: Drift) -> dict[str, float]:
    """Fidelity to the float output, and the metric against truth."""
    return {"fidelity": drift.fidelity.abs_rel, "psnr_db": drift.fidelity.psnr_db, "abs_rel": drift.metrics["abs_rel"]}


def show(result: dict[str, Any]) -> None:
    """The table of training/README.md."""
    rows = result["schemes"]
    print(f"{rows[0]['images']} images of {result['data']}; {rows[0]['engine']}, not run on a device; {result['epochs']} epochs")
    print("| scheme | MB | drift untrained | fine-tuned | its network | package to network | abs_rel float | untrained | fine-tuned |")
    print("|---" * 9 + "|")
    for row in rows:
        before, after = row["untrained"], row["fine_tuned"]
        drifts = (before["fidelity"], after["fidelity"], row["fine_tuned_network"]["fidelity"], row["package_to_network"])
        values = (*drifts, row["reference_abs_rel"], before["abs_rel"], after["abs_rel"])
        cells = [row["scheme"], f"{row['size_bytes'] / 1e6:.2f}", *(f"{value:.4f}" for value in values)]
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
