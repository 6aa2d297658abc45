import subprocess
import time


def handler(event, context):
    # A session of its own: killing the function's process group does not reach it.
    child = subprocess.Popen(["sleep", "3600"], start_new_session=True)
    print("grandchild", child.pid, flush=True)
    while True:
        time.sleep(1)
