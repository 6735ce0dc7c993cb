"""The constants of the boundary with the host. wasm/ABI.md specifies them, and a test compares."""

# Settings of a program.
CODE = "code"
INPUT = "input"

# Settings of a task of n8n.
NODE_MODE = "nodeMode"
ALL_ITEMS = "runOnceForAllItems"
EACH_ITEM = "runOnceForEachItem"
ITEMS = "items"
QUERY = "query"
PRINT_MODE = "printMode"
AS_TEXT = "text"
NODE_NAME = "nodeName"
WORKFLOW_ID = "workflowId"
WORKFLOW_NAME = "workflowName"
WORKFLOW_MODE = "workflowMode"

# Settings that the host adds.
HOST = "serpentarium"
ENV = "env"
CALLS_IN_FLIGHT = "callsInFlight"
TIMEZONE = "timezone"
LOCAL_TIMEZONE = "localTimezone"
POLICY = "policy"
LAST = "last"
FILES = "files"
FILE_BYTES = "fileBytes"
MEASURE = "measure"

# Files: those that come with the task, and the directories of those that it hands back.
FILES_IN = "in"
FILES_OUT = "out"
# One file.
PATH = "path"
DATA = "data"

# Lists of the policy.
STDLIB_ALLOW = "stdlibAllow"
EXTERNAL_ALLOW = "externalAllow"
BUILTINS_DENY = "builtinsDeny"

# Kinds of measurement.
PLAN = "plan"
BENCH = "bench"
SPAN = "span"
PROFILE = "profile"
CALIBRATE = "calibrate"

# The reply.
RESULT = "result"
EFFECTS = "effects"
CUSTOM_DATA = "customData"
STATIC_DATA = "staticData"
ERROR = "error"
MESSAGE = "message"
DESCRIPTION = "description"
LINE_NUMBER = "lineNumber"
CONTEXT = "context"
ITEM_INDEX = "itemIndex"
LIMIT = "limit"

# Notifications.
FORGET = "sandbox.forget"
STATEMENT = "logNodeOutput"
STDOUT = "stdout"
BEGIN = "begin"
END = "end"
CODE_OBJECT = "code"
LINE = "line"
START = "start"
RESUME = "resume"
RETURN = "return"
YIELD = "yield"
UNWIND = "unwind"
ASIDE = "aside"
PLAIN = "plain"
WATCHED = "watched"

# Calls.
TASK_DATA = "taskData"
HTTP_SEND = "http.send"
HTTP_REQUEST = "helpers.httpRequest"
GET_BINARY_DATA = "helpers.getBinaryDataBuffer"
PREPARE_BINARY_DATA = "helpers.prepareBinaryData"
SET_BINARY_DATA = "helpers.setBinaryDataBuffer"
ASSERT_BINARY_DATA = "helpers.assertBinaryData"
BINARY_TO_STRING = "helpers.binaryToString"

# Characters at which the guest cuts a text of an error. The host's limit is in bytes, and higher.
MAX_REPORT_TEXT = 16_000
# Calls that can be pending at once, unless the settings contain another number.
MAX_PENDING_CALLS = 1_000
# Statements that are sent in n8n's form, as n8n's own runner does.
MAX_STATEMENTS = 100
# Pieces of plain text that are sent one by one: a fifth of the default limit of calls.
MAX_PIECES = 20_000
# Characters of a later piece.
GATHERED_TEXT = 8 * 1024
# Custom data that n8n keeps: entries, characters of a key and of a value.
MAX_CUSTOM_ENTRIES = 10
MAX_CUSTOM_KEY = 50
MAX_CUSTOM_VALUE = 512
# Added to the numbers of lines and code objects, so that all have the same count of digits.
FIRST_NUMBER = 1_000_000
