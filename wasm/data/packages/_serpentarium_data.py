"""Prepares numpy and pandas for the snapshot: rehearses their use, and seeds numpy in each task.

It is the last module that the data image imports.
"""

import io
import sys
import traceback
import warnings
from types import ModuleType

import numpy as np
import pandas as pd
from _serpentarium.core import seeding
from pandas._libs import lib
from pandas.core.dtypes.common import ensure_platform_int
from pandas.core.internals.managers import BlockManager

# Runs after which code is specialised and caches are full: numpy's loops by types, pandas' by
# names, and those of the interpreter.
_ROUNDS = 25
_CSV = "id,name,when,x\n1,a,2024-01-02,1.5\n2,b,2024-02-03,\n3,,2024-03-04,-7e3\n"


class _Unseeded(ModuleType):
    """`numpy.random` before its first use in a task; see `_serpentarium.core.seeding`."""

    def __getattribute__(self, name: str) -> object:
        object.__setattr__(self, "__class__", ModuleType)
        np.random.seed()
        return getattr(self, name)


_as_slice = lib.maybe_indices_to_slice


def _positions_as_slice(positions: object, length: int) -> object:
    """Takes default integers too: many callers pass them (wasm/data/patches/pandas/0002)."""
    return _as_slice(ensure_platform_int(positions), length)


_insert_column = BlockManager._insert_update_blklocs_and_blknos


def _insert_column_narrow(manager: BlockManager, position: int) -> None:
    """Keeps the positions of columns narrow: a number appended to them makes them wide."""
    _insert_column(manager, position)
    manager._blklocs = ensure_platform_int(manager._blklocs)
    manager._blknos = ensure_platform_int(manager._blknos)


BlockManager._insert_update_blklocs_and_blknos = _insert_column_narrow
lib.maybe_indices_to_slice = _positions_as_slice
_install = seeding.install


def _install_both() -> None:
    _install()
    # The generator without an owner is drawn from at random times: it must not repeat.
    np.random.seed(0)
    np.random.__class__ = _Unseeded


def _arrays() -> None:
    whole = np.arange(1000)
    real = np.linspace(0.0, 1.0, 100)
    table = whole.reshape(10, 100)
    for some in (whole, real, table, whole.astype("int32"), real.astype("float32")):
        for name in ("mean", "sum", "std", "min", "max", "cumsum", "tolist", "prod", "var", "any"):
            getattr(some, name)()
        _ = (some + some, some * 2, some - 1, some / 2.5, some > 3, some**2, -some, some[some > 3])
        _ = (some.astype(int), some.astype(float), some.argmax(), np.sort(some), some.copy())
        repr(some[:3])
    _ = (table.mean(axis=0), table.sum(axis=1), table.T @ table, table.astype(float) @ table.T)
    _ = (np.sqrt(real), np.exp(real), np.log1p(real), np.sin(real), np.isnan(real), np.abs(real))
    _ = (np.where(whole > 5, whole, 0), np.concatenate([whole, whole]), np.unique(whole[:50] % 7))
    _ = (np.median(real), np.percentile(real, 90), np.array([[1, 2.5], [3, 4]]), np.zeros(3))
    _ = (np.dot(real, real), np.linalg.inv(np.eye(3) * 2), np.linalg.norm(real), np.ones((2, 2)))
    _ = (np.array([1, 2, 3]), np.array(["a", "bc"]), np.random.default_rng(1).normal(size=10))


def _frames() -> None:
    frame = pd.DataFrame(
        [
            {"k": f"k{i % 7}", "n": i, "v": i * 0.5, "t": f"2024-01-{i % 28 + 1:02}", "b": i > 9}
            for i in range(100)
        ]
    )
    columns = pd.DataFrame({"k": ["a", "b"] * 50, "n": range(100), "v": np.linspace(0, 1, 100)})
    frame["t"] = pd.to_datetime(frame["t"])
    frame["w"] = frame["n"] * 2 + frame["v"]
    for some in (frame, columns):
        for how in ("sum", "mean", "count", "max", "min", "size"):
            getattr(some.groupby("k")["v"], how)().to_dict()
        some.groupby("k").agg({"n": "sum", "v": "mean"}).reset_index().to_dict("records")
        _ = (some[some["n"] > 3], some.sort_values("v"), some.head(), some["k"].value_counts())
        _ = (some.to_dict("records"), some.to_dict(), some.describe(), some.set_index("k"))
        _ = (some.loc[1], some.iloc[2:4], some.loc[some["n"] > 3, ["k", "v"]], some.fillna(0))
        _ = (some.isna().sum(), some.drop_duplicates("k"), some.rename(columns={"n": "m"}))
        _ = (some.to_csv(index=False), some.to_json(orient="records"), repr(some.head()))
        some.merge(some.groupby("k")["n"].sum().rename("total").reset_index(), on="k")
        pd.concat([some, some]).pivot_table(index="k", values="n", aggfunc="sum")
        some["n"].apply(lambda n: n + 1)
        some.apply(lambda row: row["n"], axis=1)
    frame.groupby(frame["t"].dt.day)["n"].sum()
    frame.set_index("t")["n"].resample("W").sum()
    _ = (frame["k"].str.upper(), frame["k"].str.contains("1"), frame["t"].dt.strftime("%d.%m.%Y"))
    pd.read_csv(io.StringIO(_CSV), parse_dates=["when"]).dropna()
    pd.read_json(io.StringIO('[{"a": 1, "b": "x"}]'))


def _rehearse() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for part in (_arrays, _frames):
            try:
                for _ in range(_ROUNDS):
                    part()
            except Exception:
                # Tasks are slower then, and right: the log of the build says so.
                sys.stderr.write(f"the rehearsal failed:\n{traceback.format_exc()}\n")


_rehearse()
# The last step before the snapshot installs it: modules that are imported later may draw numbers.
seeding.install = _install_both
