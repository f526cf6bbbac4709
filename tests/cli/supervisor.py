"""Stands in for a supervisor: listens where one would, answers from a table, and writes down what it was asked.
usage: supervisor.py RUN_DIR (a project's directory); it ends after "down" or when its standard input is closed."""
import json
import os
import select
import socket
import sys

directory = sys.argv[1]
os.makedirs(directory, exist_ok=True)
PODS = [
    {"name": "cli-pod", "addresses": ["198.18.0.4", "fd5a:5354:4b44::4"], "attached": True,
     "containers": [{"name": "cli-app", "state": "running", "pid": 4242, "exit_code": 0, "restarts": 2, "started_at": "2023-11-14T22:13:20Z", "init": False}]},
    {"name": "sandbox-pod", "addresses": ["198.18.0.3"], "attached": True,
     "containers": [{"name": "sandbox-app", "state": "exited", "pid": 0, "exit_code": 3, "restarts": 0, "started_at": "2023-11-14T22:13:20Z", "init": False}]},
    {"name": "again-pod", "addresses": ["198.18.0.5"], "attached": True,
     "containers": [{"name": "app", "state": "backoff", "pid": 0, "exit_code": 137, "restarts": 4, "started_at": "2023-11-14T22:13:20Z", "init": False}]},
]
PS = {"project": "demo", "manifest": "/nowhere/pods.yaml", "generation": 7, "hash": "ab" * 32, "supervisor": {"pid": os.getpid()},
      "gate": {"pid": 99, "state": "serving", "restarts": 1, "connections_open": 5, "answers": not os.environ.get("SILENT_GATE")}, "pods": PODS, "not_started": {"third-pod": "the init container x ended with 1"}, "done": True}
ANSWERS = {
    "ps": [PS],
    "reload": [{"line": "reading the lists"}, {"line": "what somebody \u001b[31mwrote"}, {"generation": 8, "hash": "cd" * 32, "revoked": 2, "done": True}],
    "enter": [{"error": "no such container", "class": 2, "done": True}],
    "policy": [{"error": "the policy is not there", "class": 3, "done": True}],
    "down": [{"line": "stopped"}, {"done": True}],
}
if os.environ.get("BROKEN_LIST"):
    ANSWERS["reload"] = [{"error": "lists/x.lst:2:1: error: 'a b' has a blank in it", "class": 2, "done": True}]

with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener, open(directory + "/asked", "w", encoding="ascii") as asked:
    os.chdir(directory)
    listener.bind("control.sock")
    listener.listen(8)
    print("ready", flush=True)
    verb = ""
    while verb != "down":
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            break
        with listener.accept()[0] as c:
            request = c.recv(200000)
            if not request: # somebody only looked whether it is there
                continue
            verb = json.loads(request)["verb"]
            print(request.decode(), file=asked, flush=True)
            for answer in ANSWERS[verb]:
                c.send(json.dumps(answer).encode())
