import os
import signal


def handler(event, context):
    print("about to crash", flush=True)
    if event.get("how") == "exit":
        os._exit(event.get("code", 1))
    os.kill(os.getpid(), signal.SIGSEGV)
