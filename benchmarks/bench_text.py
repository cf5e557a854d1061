"""One line of text for every figure of the benchmarks."""

from __future__ import annotations

from typing import Any, TypeAlias

Row: TypeAlias = dict[str, Any]


def cost_line(row: Row) -> str:
    images = f"{row['images']} images" if row["images"] else "no calibration"
    seconds = row["compile_seconds"] + row["save_seconds"]
    ratio = f", {row['peak_per_model']:.1f} x the model" if row["model_mb"] > 10 else ""
    return (
        f"compile {row['network']} ({row['weights']}, {row['model_mb']:.1f} MB) "
        f"for {row['target']}, {images}: "
        f"{seconds:.2f} s{beside('<', row['bound_seconds'])}, {row['save_seconds']:.2f} of it to "
        f"save; peak {row['peak_mb']:.0f} MB, {row['imports_mb']:.0f} of it imports"
        f"{ratio}{beside('<', row['bound_peak_per_model'])}"
    )


def speed_line(row: Row) -> str:
    return (
        f"run {row['network']} ({row['weights']}), batch {row['batch']}: "
        f"fast {row['fast_per_second']:,.0f} images/s, "
        f"onnxruntime {row['onnxruntime_per_second']:,.0f}, "
        f"ratio {row['ratio']:.2f}{beside('>=', row['bound_ratio'])}"
    )


def engine_line(row: Row) -> str:
    return (
        f"engine {row['engine']} on {row['network']} ({row['weights']}): "
        f"{row['images_per_second']:,.0f} images/s, fast {row['fast_per_second']:,.0f}, "
        f"ratio {row['ratio']:.3f}{beside('>=', row['bound_ratio'])}"
    )


def lava_line(row: Row) -> str:
    many = "process" if row["processes"] == 1 else "processes"
    return (
        f"lava {row['network']} ({row['weights']}), {row['runtime']}, {row['images']} images: "
        f"{1e3 * row['step_seconds']:.2f} ms per step, {row['image_seconds']:.3f} s per image, "
        f"the first after {row['first_seconds']:.2f} s and {row['first_steps']} steps; "
        f"{row['processes']} {many}"
    )


def beside(sign: str, bound: float | None) -> str:
    return "" if bound is None else f" (bound: {sign} {bound:g})"
