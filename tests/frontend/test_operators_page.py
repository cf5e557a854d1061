"""The table of all operators in the documentation is the one that the code gives."""

from __future__ import annotations

import onnx
import pytest

from tests.support.operators_page import PAGE, updated


@pytest.mark.long  # the page is about one version of onnx, and not of Python
@pytest.mark.filterwarnings("ignore")
def test_table_is_current() -> None:
    page = PAGE.read_text(encoding="utf-8")
    if f"Operators of onnx {onnx.__version__}." not in page:
        pytest.skip("the page is about another version of onnx")
    assert updated(page) == page, "run python -m tests.support.operators_page"
