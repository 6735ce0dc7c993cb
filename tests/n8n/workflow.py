"""Builds the workflow of a case.

Webhook → Items → (nodes before) → Python     the last node's data is the response
Webhook → Tool Executor ← Tool                for an AI tool
"""

import uuid
from itertools import pairwise
from typing import Any

Node = dict[str, Any]


def python(name: str, code: str, each: bool = False) -> Node:
    """A Code node in Python."""
    mode = "runOnceForEachItem" if each else "runOnceForAllItems"
    parameters = {"language": "pythonNative", "mode": mode, "pythonCode": code}
    return node(name, "n8n-nodes-base.code", 2, parameters)


def fields(name: str, json: str) -> Node:
    """A node that replaces each item by one with this JSON."""
    return node(name, "n8n-nodes-base.set", 3.4, {"mode": "raw", "jsonOutput": json, "options": {}})


def node(name: str, kind: str, version: float, parameters: dict[str, Any], **more: Any) -> Node:
    """A node of type `kind`."""
    return {
        "name": name,
        "type": kind,
        "typeVersion": version,
        "parameters": parameters,
        "position": [0, 0],
        "id": str(uuid.uuid4()),
    } | more


def webhook(path: str, binary: bool = False) -> Node:
    """The first node: responds with the last node's JSON, or with its first file."""
    parameters: dict[str, Any] = {
        "httpMethod": "POST",
        "path": path,
        "responseMode": "lastNode",
        "responseData": "firstEntryBinary" if binary else "allEntries",
        "responseBinaryPropertyName": "data",
        "options": {},
    }
    return node("Webhook", "n8n-nodes-base.webhook", 2, parameters, webhookId=str(uuid.uuid4()))


def items() -> Node:
    """A node that makes an item of each entry of `items` in the request's body."""
    return node(
        "Items", "n8n-nodes-base.splitOut", 1, {"fieldToSplitOut": "body.items", "options": {}}
    )


def chain(name: str, nodes: list[Node], settings: dict[str, Any]) -> dict[str, Any]:
    """A workflow with the nodes in sequence."""
    links = {one["name"]: {"main": [[link(next_one, "main")]]} for one, next_one in pairwise(nodes)}
    return workflow(name, nodes, links, settings)


def tool(name: str, path: str, code: str, schema: str | None) -> dict[str, Any]:
    """A workflow that calls code as an AI tool, without a model.

    The tool's input is `query` in the request's body.
    """
    parameters: dict[str, Any] = {"description": "A tool", "language": "python", "pythonCode": code}
    if schema:
        parameters |= {"specifyInputSchema": True, "schemaType": "manual", "inputSchema": schema}
    executor = {"query": "={{ JSON.stringify({ Tool: $json.body.query }) }}", "toolName": "Tool"}
    nodes = [
        webhook(path),
        node("Tool Executor", "@n8n/n8n-nodes-langchain.toolExecutor", 1, executor),
        node("Tool", "@n8n/n8n-nodes-langchain.toolCode", 1.3, parameters),
    ]
    links = {
        "Webhook": {"main": [[link(nodes[1], "main")]]},
        "Tool": {"ai_tool": [[link(nodes[1], "ai_tool")]]},
    }
    return workflow(name, nodes, links, {})


def workflow(
    name: str, nodes: list[Node], links: dict[str, Any], settings: dict[str, Any]
) -> dict[str, Any]:
    """A workflow in n8n's format."""
    return {
        "name": name,
        "nodes": nodes,
        "connections": links,
        "settings": {"executionOrder": "v1"} | settings,
    }


def link(target: Node, kind: str) -> dict[str, Any]:
    """A connection to a node."""
    return {"node": target["name"], "type": kind, "index": 0}
