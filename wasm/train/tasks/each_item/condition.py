if _item["json"]["price"] < 1:
    return None
print(_item["json"]["name"])
return {"name": _item["json"]["name"].upper(), "net": round(_item["json"]["price"] / 1.19, 2)}
