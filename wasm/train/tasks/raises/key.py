return _items[0]['json']['missing']
