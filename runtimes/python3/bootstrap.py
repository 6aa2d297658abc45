"""Runs one Python function beside the agent, which speaks over file descriptor 3 in frames: `README.md` lists them.

Everything happens on the main thread, so that a handler may call signal.signal. No SIGTERM handler is installed here: without
the function's own, the default action must happen. Python's own SIGINT handler (KeyboardInterrupt) is taken away for the same reason.
"""
import _signal
import json
import os
import struct
import sys
from time import perf_counter

CHANNEL = 3
MAX_RESULT_BYTES = 6 * 1024 * 1024
# Of a stack, in characters; what is cut is marked. The agent cuts again, by bytes.
MAX_STACK = 32 * 1024

LOAD, INVOKE, HOOK, EXTENDED, BECOME, LEAVE = 1, 2, 3, 4, 5, 6
HELLO, LOADED, LOAD_FAILED, RESULT, FAILURE, HOOK_ENDED, EXTEND = 17, 18, 19, 20, 21, 23, 24

_pending = bytearray()
_unpack_u32 = struct.Struct("<I").unpack_from


def dequeue_frame():
    """Removes the first whole frame from the bytes read and returns it as (kind, body), or None. Not interruptible: a signal handler calls this too."""
    have = len(_pending)
    if have >= 4:
        end = 4 + _unpack_u32(_pending)[0]
        if have >= end:
            frame = bytes(_pending[4:end])
            del _pending[:end]
            return frame[0], frame[1:]
    return None


_owner = os.getpid()


def leave_if_forked(code=0):
    """Ends a child that the function forked and that came back to this file: the channel is its parent's."""
    if os.getpid() != _owner:
        flush_output()
        os._exit(code)


def close_in_child():
    """The channel stays with the process the agent started. Its number is filled, so that nothing else of the child gets it."""
    global _owner
    _owner = 0
    os.dup2(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC), CHANNEL, inheritable=False)


def read_more():
    """Reads what has come; leaves the program when the agent has gone."""
    global _pending
    leave_if_forked()
    chunk = os.read(CHANNEL, 262144)
    if not chunk:
        sys.exit(0)
    _pending += chunk


def read_frame():
    """(kind, body)"""
    while True:
        frame = dequeue_frame()
        if frame is not None:
            return frame
        read_more()


_writing = False


def write_frame(kind, body):
    global _writing
    leave_if_forked()
    _writing = True
    try:
        data = memoryview(struct.pack("<IB", len(body) + 1, kind) + body)
        while data:
            data = data[os.write(CHANNEL, data):]
    finally:
        _writing = False


_running = False
_asked = 0
_answers = {}


def extend(seconds):
    """Asks for more time to stop; returns what was granted, with a reason where that is less. On the main thread only.

    It may be called in a signal handler, even one that interrupts another call of it: a call that reads the answer of another one stores it for that call.
    """
    import select
    import threading
    from types import SimpleNamespace

    global _asked
    if threading.current_thread() is not threading.main_thread() or os.getpid() != _owner:
        raise RuntimeError("evenfall.extend() has to be called on the main thread of the function's own process")
    if not seconds >= 0:
        raise ValueError("evenfall.extend() takes seconds")
    if _writing or not _running:
        return SimpleNamespace(granted=0.0, reason="The event is being answered")
    _asked = asked = (_asked + 1) & 0xFFFFFFFF
    write_frame(EXTEND, struct.pack("<II", asked, min(0xFFFFFFFF, round(seconds * 1000))))
    while asked not in _answers:
        # Never blocked for long: another call, on top of this one, may have read the answer.
        if select.select([CHANNEL], [], [], 0.02)[0] and asked not in _answers:
            read_more()
        frame = dequeue_frame()
        while frame is not None:
            if frame[0] == EXTENDED:
                number, granted_ms = struct.unpack_from("<II", frame[1])
                _answers[number] = SimpleNamespace(granted=granted_ms / 1000, reason=frame[1][8:].decode())
            frame = dequeue_frame()
    return _answers.pop(asked)


def offer_module():
    """Makes `import evenfall` work in functions, if they bring no module of that name."""
    from _frozen_importlib import ModuleSpec  # importlib.machinery would cost a millisecond of every start

    module = type(sys)("evenfall", "What the platform offers to functions.")
    module.extend = extend

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            return ModuleSpec(name, Finder) if name == "evenfall" else None

        @staticmethod
        def create_module(spec):
            return module

        @staticmethod
        def exec_module(_):
            return None

    sys.meta_path.append(Finder)


class LoggingFinder:
    """Gives the root logger its handler and level when `logging` is imported for the first time: what the function sets then holds.

    Importing it here would cost every function 5 ms, whether it logs or not.
    """

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "logging":
            return None
        sys.meta_path.remove(LoggingFinder)
        spec = spec_of(name)
        if hasattr(getattr(spec, "loader", None), "exec_module"):
            spec.loader = ConfiguringLoader(spec.loader)
        return spec


class ConfiguringLoader:
    def __init__(self, loader):
        self._loader = loader
        self.create_module = loader.create_module

    def exec_module(self, module):
        self._loader.exec_module(module)
        if hasattr(module, "basicConfig"):  # a package may bring a file of that name
            module.basicConfig(level=module.DEBUG, stream=sys.stdout, format="%(asctime)s [%(levelname)s] %(message)s")


def flush_output():
    """Puts what was printed into the pipes before the answer that follows it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # the function may have closed or replaced it
            pass


def text_of(error, skip, most=MAX_STACK):
    """The traceback without the frames of this file."""
    import traceback

    tb = error.__traceback__
    for _ in range(skip):
        tb = tb.tb_next if tb is not None and tb.tb_next is not None else tb
    text = "".join(traceback.format_exception(type(error), error, tb)).rstrip("\n")
    if len(text) <= most:
        return text
    half = most // 2 - 32  # what happened is at the end of a traceback, where it happened at its beginning
    return "%s … [cut from %d characters] … %s" % (text[:half], len(text), text[-half:])


def failure(request_id, status, message, stack):
    error = {"errorCode": -1, "errorMessage": message, "requestId": request_id, "stackTrace": stack, "statusCode": status}
    return encode(json.dumps(error, ensure_ascii=False))


def encode(text):
    """JSON as UTF-8. Lone surrogates, which UTF-8 cannot have, become JSON's own escapes: \\ud83d."""
    return text.encode("utf-8", "backslashreplace")


class HandlerNotFound(Exception):
    pass


_modules = {}


def file_of(module_name):
    """The file of a module of the package, named by path or by dots; None if there is none."""
    for stem in (module_name, module_name.replace(".", "/")):
        for end in (".py", "/__init__.py"):
            path = os.path.join(os.getcwd(), stem.lstrip("/") + end)
            if os.path.isfile(path):
                return path
    return None


def spec_of(name):
    """Where importing a name would lead; None if nowhere."""
    from importlib.util import find_spec

    try:
        found = find_spec(name)
    except (ImportError, AttributeError, ValueError):
        return None
    return found if found is not None and found.origin is not None else None


def import_file(path, name):
    """Imports a file as the module `name` where that name leads to this file; else by its path.

    A package of the standard library, or a module that is loaded already, may have taken the name: `email/index.py`, `json.py`.
    """
    from importlib import import_module
    from importlib.util import module_from_spec, spec_from_file_location

    found = spec_of(name)
    if found is not None and os.path.realpath(found.origin) == os.path.realpath(path):
        return import_module(name)
    spec = spec_from_file_location("function_" + name.replace(".", "_"), path)
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def import_compiled(name):
    """Imports a module that has no source, such as an extension; None if the package has none of that name."""
    found = spec_of(name)
    is_own = found is not None and os.path.realpath(found.origin).startswith(os.path.realpath(os.getcwd()) + os.sep)
    return __import__(name, fromlist=[""]) if is_own else None


def resolve(name):
    """Imports `file.function`; raises HandlerNotFound if there is no such file or function."""
    module_name, _, function_name = name.rpartition(".")
    dotted = module_name.replace("/", ".").lstrip(".")
    if not dotted or not function_name:
        raise HandlerNotFound('Handler "%s" is not of the form "file.function"' % name)
    module = _modules.get(module_name)
    if module is None:
        path = file_of(module_name)
        module = import_file(path, dotted) if path is not None else import_compiled(dotted)
        if module is None:
            raise HandlerNotFound('There is no file "%s.py" in the code package' % module_name)
        _modules[module_name] = module
    function = getattr(module, function_name, None)
    if not callable(function):
        raise HandlerNotFound('There is no function "%s" in "%s.py"' % (function_name, module_name))
    return function


def load(body):
    """Loads the function; returns (handler, static context)."""
    terms = json.loads(body)
    try:
        handler = resolve(terms["handler"])
    except HandlerNotFound as error:
        flush_output()
        report = {"errorCode": 1, "errorMessage": str(error), "statusCode": 437}
    except BaseException as error:  # SystemExit too: a program that leaves while it is loaded has not been loaded
        leave_if_forked(1)
        flush_output()
        report = {"errorCode": 1, "errorMessage": text_of(error, 2, MAX_STACK // 10), "statusCode": 443}
    else:
        flush_output()
        write_frame(LOADED, b"")
        return handler, terms["context"]
    write_frame(LOAD_FAILED, struct.pack("<H", report["statusCode"]) + encode(json.dumps(report, ensure_ascii=False)))
    return None, terms["context"]


def answer_head(seq, started):
    """Number of the event and the microseconds it took."""
    return seq + struct.pack("<I", min(0xFFFFFFFF, round((perf_counter() - started) * 1e6)))


def invoke(handler, static_context, body):
    seq = body[:4]
    id_end = 6 + body[4] + (body[5] << 8)
    request_id = body[6:id_end].decode()
    started = perf_counter()
    context = dict(static_context)
    context["request_id"] = request_id
    global _running
    _running = True
    try:
        answer = handler(json.loads(body[id_end:] or b"null"), context)
        leave_if_forked()
        result = encode(json.dumps(answer, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
        _running = False
    except (SystemExit, KeyboardInterrupt):
        flush_output()
        raise  # the function chose to leave: the process ends as any other would
    except BaseException as error:
        if os.getpid() != _owner:
            sys.excepthook(type(error), error, error.__traceback__)
            leave_if_forked(1)
        _running = False
        flush_output()
        stack = text_of(error, 1)
        write_frame(FAILURE, answer_head(seq, started) + struct.pack("<H", 430) + failure(request_id, 430, "user code exception caught", stack))
        return
    flush_output()
    if len(result) > MAX_RESULT_BYTES:
        message = "body size is too long: %d bytes, at most %d" % (len(result), MAX_RESULT_BYTES)
        write_frame(FAILURE, answer_head(seq, started) + struct.pack("<H", 407) + failure(request_id, 407, message, ""))
        return
    write_frame(RESULT, answer_head(seq, started) + result)


def run_hook(static_context, body):
    """Runs Initializer or PreStop: one argument, the context, as far as the function takes one."""
    seq = body[:4]
    try:
        hook = resolve(body[4:].decode())
        code = getattr(hook, "__code__", None)
        hook(*((static_context,) if code is None or code.co_argcount > 0 else ()))
        leave_if_forked()
    except (SystemExit, KeyboardInterrupt):
        flush_output()
        raise
    except BaseException as error:
        flush_output()
        write_frame(HOOK_ENDED, seq + b"\x00" + encode(text_of(error, 1)))
        return
    flush_output()
    write_frame(HOOK_ENDED, seq + b"\x01")


def enter_folder():
    sys.path[0] = os.getcwd()
    # For what the function starts. Set earlier, a json.py of the function's would have been taken for Python's, above.
    os.environ.setdefault("PYTHONPATH", os.getcwd())


def become(body):
    """Prewarmed, before its function is known: takes over the folder and the variables of an instance, before any code of it."""
    terms = json.loads(body)
    os.environ.clear()
    os.environ.update(terms["variables"])
    os.chdir(terms["folder"])
    enter_folder()
    write_frame(HELLO, b"")


def main():
    os.set_inheritable(CHANNEL, False)
    os.register_at_fork(after_in_child=close_in_child)
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    enter_folder()
    offer_module()
    sys.meta_path.insert(0, LoggingFinder)
    write_frame(HELLO, b"")
    handler, context = None, {}
    while True:
        kind, body = read_frame()
        if kind == INVOKE:
            invoke(handler, context, body)
        elif kind == LOAD:
            handler, context = load(body)
        elif kind == HOOK:
            run_hook(context, body)
        elif kind == BECOME:
            become(body)
        elif kind == LEAVE:
            return  # through the interpreter's own shutdown: threads are joined, atexit runs


# Children that `multiprocessing` spawns run this file once more, under another name.
if __name__ == "__main__":
    main()
