"""One task, from its settings to its reply.

- `task`: runs the task: settings, code, reply
- `current`: the current task
- `extensions`: the functions that the other packages register
- `code`: compiles the text of a program to a function
- `fence`: takes off the fence that Markdown puts around code
- `source`: gives the lines of that text to tracebacks
- `result`: encodes the returned value as JSON
- `forms`, `kinds`, `no_form`: JSON forms of other values, and the errors of those that have none
- `errors`: encodes an exception as JSON
- `hints`: what to do about an error
- `lacking`: functions that this platform lacks
- `task_error`: failures that the package reports in its own words
- `log`: sends printed output to the host
- `printing`: `print`
- `streams`: `sys.stdin`, `sys.stdout`, `sys.stderr`
- `loop`: asyncio without file descriptors
- `threads`: threads without parallelism
- `seeding`: seeds `random` at its first use
- `zone`: the time zone of local time
- `platform`: adapts modules of the standard library
- `wire`: JSON, and the functions of the host
"""
