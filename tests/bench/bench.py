"""What the benchmarks and the chaos share: a lab, a project with two pods in it, its gate as /proc shows it, and load inside of pods.

Everything a benchmark made is gone when it ends, also after a failure; only processes that it started are ended."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
LAB = TOP / "tests/lab/lab"
FAR = "142.250.74.72"  # own.googleapis.com, which waits for servers of ours
FAR_PORT = 7000
GATE_ID = 0x6FFF0000
TICK = os.sysconf("SC_CLK_TCK")


def field(text, name):
    return int(re.search(rf"^{name}:\s+(\d+)", text, re.M).group(1))


class Gate:
    """The gate's process, from outside."""

    def __init__(self, pid):
        self.pid = pid
        self.proc = pathlib.Path(f"/proc/{pid}")

    def cpu(self):
        """Seconds of CPU so far, all threads: nanoseconds of the scheduler where it counts them, clock ticks otherwise."""
        try:
            tasks = (self.proc / "task").iterdir()
            return sum(int((t / "schedstat").read_text().split()[0]) for t in tasks) / 1e9
        except (FileNotFoundError, IndexError):
            stat = (self.proc / "stat").read_text().rsplit(")", 1)[1].split()
            return (int(stat[11]) + int(stat[12])) / TICK

    def fds(self):
        """Open files by kind: socket, pipe, anon_inode:[eventfd], ..."""
        kinds = {}
        for fd in (self.proc / "fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                kind = re.sub(r":\[\d+\]$", "", os.readlink(fd))
                kinds[kind] = kinds.get(kind, 0) + 1
        return kinds

    def rss(self):
        """Anonymous memory, in KiB."""
        return field((self.proc / "status").read_text(), "RssAnon")

    def alive(self):
        return self.proc.exists()


class Bench:
    """with Bench(name) as b: a lab that is up, a project demo with cli-pod and sandbox-pod, and the far end of tunnels."""

    def __init__(self, name, stockade=None, load=None, workers=0, limits=()):
        self.lab = f"{name}{os.getpid()}"
        self.stockade = stockade or os.environ.get("STOCKADE", TOP / "build/stockade")
        self.load_program = str(load or os.environ.get("STOCKADE_LOAD", TOP / "build/tests/bench/load"))
        self.workers = workers
        self.limits = [word for limit in limits for word in ("--limit", limit)]
        self.dir = pathlib.Path(os.environ.get("STOCKADE_LAB_DIR", "/var/lib/stockade-lab")) / self.lab
        self.project = self.dir / "demo"
        self.children = []

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
        subprocess.run([LAB, "up", self.lab], check=True)
        try:
            shutil.copytree(TOP / "examples/seed", self.project)
            self.take_gate()
            # Many tunnels lead to one address and port; those that have ended keep theirs for a minute.
            subprocess.run([*self.inside("host"), "sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65535"], check=True)
            self.write_list("cli", "googleapis.com", f"own.googleapis.com:{FAR_PORT}")
            self.write_list("sandbox", "googleapis.com", "python.org")
            self.far = self.start("internet", "serve", f"proxy={FAR}:{FAR_PORT}")
            self.sk("up", "-f", "pods.yaml", "--host-root", "--workers", str(self.workers), *self.limits)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
        subprocess.run([LAB, "exec", self.lab, "--", self.stockade, "down", "--project", "demo", "--timeout", "1"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        subprocess.run([LAB, "down", self.lab], check=False)

    def take_gate(self):
        """STOCKADE_GATE=FILE: the gate is that program's (mixed.c), the rest is as ever."""
        gate = os.environ.get("STOCKADE_GATE")
        if gate:
            self.stockade = self.dir / "stockade"
            shutil.copy(pathlib.Path(self.load_program).parent / "mixed", self.stockade)
            shutil.copy(gate, self.dir / "stockade.gate")

    def write_list(self, pod, *entries):
        (self.project / f"haproxy/{pod}_domains.lst").write_text("".join(e + "\n" for e in entries))

    def sk(self, *arguments, check=True):
        return subprocess.run([LAB, "exec", self.lab, "--", self.stockade, *arguments], cwd=self.project, check=check,
                              stdout=subprocess.PIPE, text=True).stdout

    def ps(self):
        return json.loads(self.sk("ps", "--json"))

    def gate(self):
        return Gate(self.ps()["gate"]["pid"])

    def pod_pid(self, pod):
        return next(c["pid"] for p in self.ps()["pods"] if p["name"] == pod for c in p["containers"] if c["state"] == "running")

    def limit_files(self, soft):
        """How many files the gate may have open from now on; None: as at its start. By a process of its own user, which needs no power."""
        pid = self.gate().pid
        limits = next(line for line in pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith("Max open files"))
        hard = limits.split()[4]
        subprocess.run(["setpriv", f"--reuid={GATE_ID}", f"--regid={GATE_ID}", "--clear-groups", "prlimit", f"--pid={pid}",
                        f"--nofile={hard if soft is None else soft}:{hard}"], check=True)

    def inside(self, where):
        """The words before a command that put it on a host of the lab, or into the network of a pod."""
        if where in ("host", "internet", "witness"):
            return ["nsenter", f"--net=/run/netns/sl-{self.lab}-{where}"]
        if not hasattr(self, "pids"):
            self.pids = {}
        if not pathlib.Path(f"/proc/{self.pids.get(where, 'none')}").exists():
            self.pids[where] = self.pod_pid(where)
        return ["nsenter", f"--net=/proc/{self.pids[where]}/ns/net"]

    def start(self, where, *words):
        """The load program, at work."""
        child = subprocess.Popen([*self.inside(where), self.load_program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 text=True)
        self.children.append(child)
        return child

    def load(self, where, *words):
        """The load program, until it is done: what it says, as numbers."""
        return numbers(self.start(where, *words).communicate()[0])


def numbers(line):
    words = line.splitlines()[0].split()
    return {words[i]: float(words[i + 1]) for i in range(0, len(words) - 1, 2)}


def settle(seconds=1.0):
    time.sleep(seconds)
