return _items
