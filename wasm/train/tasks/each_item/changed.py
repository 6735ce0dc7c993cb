_item["json"]["seen"] = True
return _item
