"""A function of Lambda's Python client that does what its event says."""
import signal
import time

stopped = False


def stop(*_):
    global stopped
    print("asked to stop")
    stopped = True


signal.signal(signal.SIGTERM, stop)


def handler(event, context):
    if event.get("do") == "fail":
        raise ValueError("went wrong")
    if event.get("do") == "sleep":
        print("sleeping")
        while not stopped:
            time.sleep(0.05)
        return "END"
    return {"id": context.aws_request_id, "name": context.function_name, "left": context.get_remaining_time_in_millis() > 0}
