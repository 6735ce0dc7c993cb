from datetime import datetime
from zoneinfo import ZoneInfo

start = datetime(2026, 3, 29, 1, 30, tzinfo=ZoneInfo("UTC"))
return [
    {"json": {"city": city, "time": start.astimezone(ZoneInfo(zone)).isoformat()}}
    for city, zone in [("Zürich", "Europe/Zurich"), ("東京", "Asia/Tokyo"), ("São Paulo 🐍", "America/Sao_Paulo")]
]
