return [dict(item, pairedItem={'item': i}) for i, item in enumerate(_items * 50)]
