import os


def attempt(action):
    try:
        return action()
    except Exception as error:
        return type(error).__name__


return {
    "/etc/passwd": attempt(lambda: open("/etc/passwd").read()),
    "files in /home": attempt(lambda: os.listdir("/home")),
    "environment": dict(os.environ),
    "a shell": attempt(lambda: os.system("id")),
}
