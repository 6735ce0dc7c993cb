from datetime import datetime

row = _item["json"]
email = row["email"].strip().lower()
if "@" not in email:
    return None  # drops the item

day = datetime.strptime(row["signed_up"], "%d.%m.%Y")
return {"json": {"email": email, "signed_up": day.date().isoformat()}}
