type Habit = (n: number) => string;

/** What a Python function says. `n` is drawn, so that no two are the same. */
export const TEXTS: readonly [Habit, ...Habit[]] = [
  (n) => `for fd in range(3, 9):\n    try: os.write(fd, random.randbytes(${n}))\n    except OSError: pass`,
  (n) =>
    `for fd in range(3, 9):\n    try: os.write(fd, struct.pack("<IB", ${1 + (n % 300)}, ${n % 256}) + random.randbytes(${n % 300}))\n    except OSError: pass`,
  (n) => `for fd in range(3, 9):\n    try: os.write(fd, struct.pack("<IB", 0xffffffff, ${n % 40}))\n    except OSError: pass`,
  () => 'answer = "x" * 7_000_000',
  () => 'answer = float("nan")',
  () => 'answer = []\nfor _ in range(500): answer = [answer]',
  () => 'answer = "\\ud800\\x00\\x1b[31m"',
  () => 'answer = {"a" * 1000: {("b" * n): n for n in range(500)}}',
  () => 'answer = object()',
  () => 'answer = b"bytes"',
  () => 'raise Exception("END RequestId: 1 Report\\n" * 10000)',
  () => 'class E(Exception):\n    def __str__(self): raise SystemExit(3)\nraise E()',
  () => 'E = type("X" * 100000, (Exception,), {})\nraise E("\\x00\\x1b]0;title\\x07")',
  () => 'for _ in range(100): os.write(1, b"y" * 65536)',
  () => 'os.write(2, bytes(range(256)) * 1000)',
  (n) => `for line in range(${n}): print("START RequestId: ", line)`,
  () => 'sys.stdout.write("no end of line")',
  () => 'sys.stdout.close()\nsys.stderr.close()',
  () =>
    'import evenfall\nfor asked in (-1, 0, 10**30, float("nan"), "x", None):\n    try: evenfall.extend(asked)\n    except BaseException: pass',
];

/** What a Python function does. */
export const HABITS: readonly [Habit, ...Habit[]] = [
  () => 'while True: os.fork()',
  () => 'while True:\n    if os.fork() == 0: os.setsid(); time.sleep(100)',
  () => 'for _ in range(50): subprocess.Popen(["sleep", "100"], start_new_session=True)',
  () => 'for _ in range(1000): threading.Thread(target=time.sleep, args=(100,)).start()',
  (n) => `os.kill(-1, ${n % 30})`,
  (n) => `os.kill(os.getppid(), ${n % 30})\nos.kill(1, ${n % 30})`,
  (n) => `os.kill(os.getpid(), ${n % 30})\ntime.sleep(1)`,
  () => 'os.kill(os.getpid(), signal.SIGSTOP)',
  (n) => `os._exit(${n % 256})`,
  () => 'os.abort()',
  () => 'for s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError): pass\ntime.sleep(100)',
  () => 'signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\ntime.sleep(100)',
  () => 'held = []\nwhile True: held.append(os.open("/dev/null", os.O_RDONLY))',
  () => 'held = [socket.socketpair() for _ in range(400)]',
  () => 'os.closerange(0, 100)',
  () => 'held = []\nwhile True: held.append(b"x" * 10_000_000)',
  () => 'import mmap\nheld = [mmap.mmap(-1, 1 << 30) for _ in range(50)]',
  () => 'with open("/tmp/fill", "wb") as f:\n    while True: f.write(b"x" * 1_000_000)',
  (n) => `for i in range(${n}): open(f"/tmp/small-{i}", "w").close()`,
  () => 'path = "/tmp"\nfor i in range(400):\n    path += "/deep"\n    os.mkdir(path)\n    if i % 50 == 0: os.chdir(path); path = "."',
  () => 'os.mkfifo("/tmp/fifo")\nopen("/tmp/fifo")',
  () => 'os.symlink("/", "/tmp/root")\nos.symlink("loop", "/tmp/loop")\nos.chmod("/tmp", 0)',
  () => 'open("/dev/shm/left", "wb").write(b"x" * 10_000_000)',
  () => 'held = [libc.shmget(k, 1 << 20, 0o1666) for k in range(1, 60)]\nlibc.msgget(5, 0o1666)\nlibc.semget(6, 1, 0o1666)',
  () => 'libc.prctl(4, 0)\nlibc.prctl(1, 9)\ntime.sleep(100)',
  () => 'resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\nresource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20))',
  () => 'os.nice(19)\nwhile True: pass',
  () =>
    'for p in range(1024, 3000):\n    s = socket.socket(); s.settimeout(0.01)\n    try: s.connect(("127.0.0.1", p)); s.send(b"GET / HTTP/1.1\\r\\n\\r\\n")\n    except OSError: pass',
  () => 's = socket.socket(socket.AF_UNIX); s.bind("\\0taken"); s.listen(1)\nif os.fork() == 0: time.sleep(100)',
  () =>
    's = socket.socket(); s.bind(("0.0.0.0", 0)); s.listen(1)\nheld = []\nwhile True:\n    c = socket.socket(); c.setblocking(False); c.connect_ex(s.getsockname()); held.append(c)',
  (n) => `for call in range(0, 460):\n    if call not in (0, 7, 23, 34, 35, 60, 230, 231, 270, 271): libc.syscall(call, *[${n}] * 6)`,
  () =>
    'for root, _, names in os.walk("/proc"):\n    for name in names:\n        try: open(f"{root}/{name}", "wb").write(b"1000")\n        except (OSError, ValueError): pass',
  () => 'libc.ptrace(0, 0, 0, 0)\nos.kill(os.getpid(), signal.SIGTRAP)',
  () => 'os.execv("/bin/sleep", ["sleep", "100"])',
  () => 'os.chdir("/")\nsubprocess.run("rm -rf /tmp/* /var/tmp/* . .. 2>/dev/null; kill -9 $PPID", shell=True)',
  () => 'def child():\n    while True:\n        if os.fork(): os._exit(0)\nif os.fork() == 0: child()',
  () => 'sys.setrecursionlimit(10**9)\ndef deeper(): deeper()\ndeeper()',
];
