"""A step of a build server: compile a network as a JSON job says, and answer in JSON.

    python build_step.py < job.json > result.json

The job holds `model` and `output`, and may hold `calibration`, `test`, `options` (of
`qcompiler.compile`) and `require`: limits that the program must keep. Paths are relative to the
working folder. Exit status: 0 compiled and within the limits, 1 refused or beyond a limit, 2 no
such job.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import numpy as np

import qcompiler

KEYS = {"model", "output", "calibration", "test", "options", "require"}
# What a limit is compared with: a figure of the report, or of a run on the test data.
MOST = ("neurons", "cores", "latency_steps", "frame_interval_steps")
LEAST = ("accuracy",)
# A job is data of others: what may name code, or files elsewhere, is not among its options.
OPTIONS = {
    *("target", "t_max", "weight_bits", "code", "effort", "slices", "percentile", "proved"),
    *("layout", "mean_values", "scale_values", "reverse_input_channels", "input_shapes"),
    *("allow_products", "activation_error", "max_drop", "max_drift", "objective"),
}


class BadJob(Exception):
    """The job is not what this step takes."""


def main() -> int:
    try:
        result = run(checked(json.load(sys.stdin)))
    except (ValueError, BadJob) as error:
        print(json.dumps({"status": "bad job", "message": str(error)}))
        return 2
    print(json.dumps(result, indent=2))
    return int(result["status"] != "ok")


def checked(job: Any) -> dict[str, Any]:
    if not isinstance(job, dict) or not {"model", "output"} <= job.keys() <= KEYS:
        raise BadJob(f"a job has the keys model and output, and may have {', '.join(sorted(KEYS))}")
    for key, known in (("options", OPTIONS), ("require", {*MOST, *LEAST})):
        if not isinstance(job.get(key, {}), dict) or not job.get(key, {}).keys() <= known:
            raise BadJob(f"{key} may be {', '.join(sorted(known))}")
    if not all(isinstance(limit, int | float) for limit in job.get("require", {}).values()):
        raise BadJob("limits are numbers")
    if "accuracy" in job.get("require", {}) and "test" not in job:
        raise BadJob("accuracy needs test, an .npz file with labels")
    return job


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Compile, measure, compare with the limits; save what keeps them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", qcompiler.CompileWarning)  # they are in the report
            program = qcompiler.compile(
                job["model"], calibration=job.get("calibration"), **job.get("options", {})
            )
        figures = program.report().to_dict()
        if "test" in job:
            figures["accuracy"] = accuracy(program, job["test"])
        broken = exceeded(figures, job.get("require", {}))
        if not broken:
            program.save(job["output"])
    except qcompiler.CompileError as error:
        findings = [vars(finding) for finding in error.diagnostics]
        return {"status": "refused", "kind": type(error).__name__, "findings": findings}
    status = "beyond limits" if broken else "ok"
    return {"status": status, "broken": broken, "report": figures}


def accuracy(program: qcompiler.Program, path: str) -> float:
    try:
        with np.load(path) as data:
            images, labels = data["images"], data["labels"]
    except (OSError, KeyError, ValueError) as error:
        raise BadJob(f"{path} is no .npz file with images and labels: {error}") from error
    shape = program.graph.inputs[0].type.shape
    scores = next(iter(program.measure(images.reshape(-1, *shape)).outputs.values()))
    return float(np.mean(scores.argmax(axis=1) == labels))


def exceeded(figures: dict[str, Any], limits: dict[str, float]) -> list[str]:
    found = []
    for name, limit in limits.items():
        value = figures[name]
        worse = value is not None and (value > limit if name in MOST else value < limit)
        if worse or value is None:
            bound = "at most" if name in MOST else "at least"
            found.append(f"{name} is {value}, and should be {bound} {limit}")
    return found


if __name__ == "__main__":
    sys.exit(main())
