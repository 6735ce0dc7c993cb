"""The names of the expressions, and the text of their values: runs natively and in the sandbox."""

import datetime
import decimal
import io
import math
from typing import Any

import numpy as np
import pandas as pd

NAMES: dict[str, Any] = {
    "np": np,
    "pd": pd,
    "io": io,
    "datetime": datetime,
    "decimal": decimal,
    "math": math,
}
NAMES["a"] = np.arange(12).reshape(3, 4)
NAMES["f"] = np.linspace(-2, 2, 9)
NAMES["m"] = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]])
NAMES["words"] = np.array(["apple", "fig", "kiwi", "Banana"])
NAMES["df"] = pd.DataFrame(
    {
        "k": ["x", "y", "x", "z", "y", "x"],
        "n": [1, 2, 3, 4, 5, 6],
        "v": [0.5, 1.5, -2.0, None, 4.25, 8.0],
        "t": pd.date_range("2024-01-30", periods=6, freq="D"),
    }
)
NAMES["right"] = pd.DataFrame({"k": ["x", "y", "w"], "w": [10, 20, 30]})
NAMES["s"] = pd.Series([3, 1, 2, 3, 9], index=list("abcde"))
NAMES["texts"] = pd.Series(["Ab c", "de", None, " Fg ", "x-1"])
NAMES["ts"] = pd.Series(range(72), index=pd.date_range("2024-03-30", periods=72, freq="h"))
NAMES["csv"] = "id,name,when,x\n1,a,2024-01-02,1.5\n2,b,2024-02-03,\n3,,2024-03-04,-7e3\n"


def shown(value: Any) -> Any:
    """Returns a text that two machines agree on: twelve digits of floating-point numbers."""
    if isinstance(value, pd.DataFrame):
        columns = [[str(c), str(value[c].dtype), shown(list(value[c]))] for c in value.columns]
        return ["frame", shown(value.index), columns]
    if isinstance(value, pd.Series):
        return ["series", str(value.dtype), shown(value.index), shown(list(value))]
    if isinstance(value, pd.Index):
        return [type(value).__name__, str(value.dtype), shown(list(value))]
    if isinstance(value, np.ndarray):
        return ["array", str(value.dtype), list(value.shape), shown(value.ravel().tolist())]
    if isinstance(value, np.generic):
        return [str(value.dtype), shown(value.item())]
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, complex):
        return f"{value.real:.12g} {value.imag:.12g}"
    if isinstance(value, dict):
        return [[shown(key), shown(item)] for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    return value if isinstance(value, (int, str)) else repr(value)


def evaluated(expression: str) -> Any:
    """Returns the text of an expression's value, or of its exception."""
    try:
        return shown(eval(expression, dict(NAMES)))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
