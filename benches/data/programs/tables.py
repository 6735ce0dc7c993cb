"""Tables from texts and back: CSV, JSON and records."""

import io
import json

import numpy as np
import pandas as pd


def run() -> None:
    """One round."""
    rows = 8000
    frame = pd.DataFrame(
        {
            "id": np.arange(rows),
            "name": [f"name {i % 100}" for i in range(rows)],
            "value": np.linspace(0, 1, rows).round(6),
            "day": pd.date_range("2024-01-01", periods=rows, freq="h").strftime("%Y-%m-%d %H:%M"),
        }
    )
    text = frame.to_csv(index=False)
    read = pd.read_csv(io.StringIO(text), parse_dates=["day"])
    assert (read["value"] == frame["value"]).all()
    records = json.loads(read.head(2000).to_json(orient="records"))
    assert len(pd.DataFrame.from_records(records)) == 2000
    assert len(read.head(1000).to_dict("records")) == 1000
