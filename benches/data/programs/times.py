"""Dates: ranges, time zones, means by week, moving windows, differences."""

import numpy as np
import pandas as pd


def run() -> None:
    """One round."""
    hours = pd.date_range("2023-01-01", periods=24 * 365, freq="h", tz="Europe/Berlin")
    load = pd.Series(np.sin(np.arange(len(hours)) / 24 * 2 * np.pi) + 2, index=hours)
    weeks = load.resample("W").mean()
    assert len(weeks) == 53
    moving = load.rolling(24).mean().dropna()
    assert abs(moving.mean() - 2) < 0.01
    by_hour = load.groupby(load.index.hour).mean()
    assert len(by_hour) == 24
    days = pd.to_datetime(pd.Series(hours.strftime("%d.%m.%Y")[::24]), format="%d.%m.%Y")
    assert days.diff().dropna().dt.days.max() <= 2
    assert load.tz_convert("UTC").index[0].hour == 23
