"""The names that n8n offers to a Code node.

    names     which names the code mentions, and the objects behind them
    mentions  finds those names in code
    running   the running task as those objects see it, and the one request for n8n's data
    helpers   `_helpers`
    plans     the requests behind it
    nodes     `_input`, `_node`, `_prev_node`
    pairing   the items of other nodes, and which was made from which
    workflow  `_workflow`, `_execution`, `_vars` and the rest
    calls     requests to n8n, blocking and awaited
    manual    `help`, and the JavaScript spelling of names
"""
