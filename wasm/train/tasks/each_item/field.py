return {'json': {'a': _item['json']['id']}}
