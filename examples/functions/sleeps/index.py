import time


def handler(event, context):
    seconds = (event or {}).get("seconds", 1)
    print("sleeping", flush=True)
    time.sleep(seconds)
    return seconds
