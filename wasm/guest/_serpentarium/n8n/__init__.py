"""The names that n8n offers to a Code node.

- `modes`: runs the code once for all items, or once for each item
- `names`: which names the code mentions, and the objects behind them
- `mentions`: finds those names in code
- `running`: n8n's data for the running task, and what the task changed
- `helpers`: `_helpers`
- `plans`: the requests behind `_helpers`
- `nodes`: `_input`, `_node`, `_prev_node`
- `pairing`: outputs of other nodes, and links between items
- `workflow`: `_workflow`, `_execution`, `_vars` and the rest
- `calls`: calls to n8n, blocking and awaited
- `manual`: `help`, and JavaScript's spelling of names
"""
