"""Messages for a task that runs without n8n, as in `serpentarium exec`."""

import re

from _serpentarium.abi import AS_TEXT, PRINT_MODE, TASK_DATA
from _serpentarium.core.current import task
from _serpentarium.core.wire import REFUSED

# Names that n8n's data of the workflow is behind, where code uses them.
_OF_WORKFLOW = re.compile(
    r"\b(?:_(?:node|execution|workflow|vars|env|prev_node|prevNode|get_workflow_static_data"
    r"|getWorkflowStaticData)?(?=[\[(.])|_input(?=\.(?:params|context)\b))"
)


def explain(name: str) -> str:
    """Returns the message for a call that nobody answers."""
    what = _spelled(name)
    if task.settings.get(PRINT_MODE) == AS_TEXT:
        return (
            f"{what} needs n8n, and `serpentarium exec` runs the code without it. "
            "Run the code in n8n, or with `serpentarium broker`, which answers in n8n's place"
        )
    return f"{what} needs n8n, and nothing answers in n8n's place here ({REFUSED})"


def _spelled(name: str) -> str:
    """Returns the user's names for a call."""
    if name != TASK_DATA:
        words = re.sub(r"([A-Z])", r"_\1", name.removeprefix("helpers."))
        return f"_helpers.{words.lower().removesuffix('_buffer')}"
    found = dict.fromkeys(_OF_WORKFLOW.findall(task.code))
    return " or ".join(found) or "The data of the workflow"
