"""The names that n8n offers to a Code node.

- `modes`: runs the code once for all items, or once for each item
- `names`: which names the code mentions, and the objects behind them
- `mentions`: finds those names in code
- `running`: n8n's data for the running task, and what the task changed
- `helpers`: `_helpers`
- `plans`: the HTTP requests behind `_helpers`; `multipart`: bodies with files
- `binary_plans`: its requests for binary data
- `response`: an HTTP answer
- `input_files`: binary data of items as files
- `stored`: files whose data is not in the item
- `nodes`: `_input`, `_node`, `_prev_node`
- `pairing`: outputs of other nodes, and links between items
- `workflow`: `_workflow`, `_execution`, `_vars` and the rest
- `calls`: calls to n8n, blocking and awaited
- `failures`: the exceptions for failed calls; `alone`: their messages without n8n
- `manual`: the base of these objects: members, JavaScript's spelling of names; `help`
- `hints`: hints for errors around these objects
"""
