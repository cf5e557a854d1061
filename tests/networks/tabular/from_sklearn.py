"""Writes pipelines of scikit-learn, and data, to this folder; needs pandas and skl2onnx.

Networks take raw features. The files of data hold an array of samples for calibration and
one for tests for every input, and what a network should answer for the latter.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

FOLDER = Path(__file__).parent
COLUMNS = {
    "job": Int64TensorType([None, 1]),
    "region": Int64TensorType([None, 1]),
    "age": FloatTensorType([None, 1]),
    "income": FloatTensorType([None, 1]),
}


def loans(count=900):
    """Jobs, regions, ages and incomes, and whether a loan is paid back."""
    rng = np.random.default_rng(0)
    job, region = rng.integers(0, 6, count), rng.choice([1, 2, 5, 9], count)
    age, income = rng.integers(18, 80, count), np.exp(rng.normal(10.3, 0.7, count)).round()
    score = np.array([-1, 0.5, 1, -0.3, 0.8, -1.2])[job] + np.where(region == 5, 0.8, -0.2)
    score += (age - 45) / 20 + 1.3 * (np.log(income) - 10.3) + rng.normal(0, 0.5, count)
    columns = dict(zip(COLUMNS, (job, region, age.astype(float), income), strict=True))
    return pd.DataFrame(columns), (score > 0).astype(int)


def write(name, pipeline, features, answers):
    """Train on two thirds of the data, and write the network and the data."""
    classes = answers.dtype.kind == "i"
    parts = train_test_split(
        features, answers, test_size=0.35, random_state=1, stratify=answers if classes else None
    )
    train, test, wanted, expected = parts
    pipeline.fit(train, wanted)
    table = isinstance(features, pd.DataFrame)
    types = COLUMNS if table else {"X": FloatTensorType([None, features.shape[1]])}
    proto = to_onnx(
        pipeline,
        initial_types=list(types.items()),
        options={id(pipeline): {"zipmap": False}} if classes else None,
        target_opset=17,
    )
    (FOLDER / f"{name}.onnx").write_bytes(proto.SerializeToString())
    arrays = {"answers": expected.astype(np.uint8 if classes else np.float32)}
    for part, rows in (("calibration", train), ("test", test)):
        for column, kind in types.items():
            data = rows[[column]].to_numpy() if table else rows
            dtype = np.int32 if isinstance(kind, Int64TensorType) else np.float32
            arrays[f"{part}:{column}"] = data.astype(dtype)
    np.savez_compressed(FOLDER / f"{name.partition('_')[0]}.npz", **arrays)


def network():
    """A classifier with one hidden layer."""
    return MLPClassifier((16,), max_iter=1000, random_state=0)


encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
standard = make_column_transformer(
    (encoder, ["job", "region"]), (StandardScaler(), ["age", "income"])
)
unit = make_column_transformer((encoder, ["job", "region"]), (MinMaxScaler(), ["age", "income"]))
cancer = load_breast_cancer(return_X_y=True)
regressor = MLPRegressor(hidden_layer_sizes=(16,), max_iter=3000, random_state=0)
write("wine", make_pipeline(StandardScaler(), network()), *load_wine(return_X_y=True))
write("cancer", make_pipeline(MinMaxScaler(), network()), *cancer)
write("cancer_logistic", make_pipeline(StandardScaler(), LogisticRegression()), *cancer)
write("loans", make_pipeline(standard, network()), *loans())
write("loans_logistic", make_pipeline(unit, LogisticRegression()), *loans())
diabetes = load_diabetes(return_X_y=True, scaled=False)
write("diabetes", make_pipeline(StandardScaler(), regressor), *diabetes)
