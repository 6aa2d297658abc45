"""What a function can do with its end: each behaviour by its name, for every runtime that runs Python."""
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request

stopped = False


def on_signal(number, frame):
    global stopped
    stopped = True


def leave(number, frame):
    sys.stdout.flush()
    os._exit(0)


def clean_up():
    time.sleep(0.2)
    print("cleaned up", flush=True)


cleaner = None


def clean_up_later(number, frame):
    global cleaner
    on_signal(number, frame)
    cleaner = threading.Thread(target=clean_up)
    cleaner.start()


def finish():
    if cleaner is not None:
        cleaner.join()


# A child in the same group that has something to do when it is signalled.
FOSTER = 'trap "sleep 0.2; echo cleaned up; exit 0" TERM; while :; do sleep 0.05; done'


def report(event, what):
    if "url" in event:
        urllib.request.urlopen("%s/%s" % (event["url"], what)).read()


def behave(event):
    global stopped
    stopped = False
    # A warm instance remembers what the event before has set.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    do = event["do"]
    if do == "ignores":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif do in ("tidies", "reports"):
        signal.signal(signal.SIGTERM, on_signal)
    elif do == "leaves":
        signal.signal(signal.SIGTERM, leave)
    elif do == "blocks":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    elif do == "cleans":
        signal.signal(signal.SIGTERM, clean_up_later)
    elif do == "fosters":
        subprocess.Popen(["sh", "-c", FOSTER])
    elif do == "spawns":
        for new_session in (False, True):
            subprocess.Popen(["sleep", event["mark"]], start_new_session=new_session, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print("begun", flush=True)
    report(event, "begun")
    if do == "floods":
        for n in range(12_000):
            print("line", n)
        sys.stdout.flush()
    until = time.monotonic() + event["ms"] / 1000
    while not stopped and (time.monotonic() < until or do == "overstays"):
        time.sleep(0.01)
    report(event, "signalled" if stopped else "finished")
    if stopped:
        return "END"
    if do == "throws":
        raise ValueError("on purpose")
    if do == "exits 0":
        os._exit(0)
    if do == "exits 1":
        os._exit(1)
    if do == "crashes":
        os.kill(os.getpid(), signal.SIGSEGV)
    if do == "devours":
        eaten = []
        while True:
            eaten.append(bytearray(8 * 1024 * 1024))
            time.sleep(0.005)
    return "DONE"
