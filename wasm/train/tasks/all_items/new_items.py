return [{'json': {**item['json'], 'n': i}} for i, item in enumerate(_items)]
