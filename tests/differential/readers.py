"""Other readers of requests. Each takes streams and gives for each {"requests": [...], "stop": "more"|"refused", "why"}; a request is
method, target, minor, fields, place (host and port as the URL parser that goes with it sees them), body, whole, end."""
import json
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import urllib.parse

try:
    import h11
except ImportError:
    h11 = None

UNANSWERED = ("0", str(len("HTTP/1.1 100 Continue\r\n\r\n")))  # bytes that nginx sent
HERE = pathlib.Path(__file__).resolve().parent


class Missing(Exception):
    """The reader's package is not installed."""


def run(command, streams):
    """A program that reads streams on stdin, each with its length in front, and says a line of JSON for each."""
    given = b"".join(struct.pack("<I", len(s)) + s for s in streams)
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True)
    answers = [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]
    if len(answers) != len(streams):
        raise RuntimeError(f"{command[0]}: {len(answers)} answers to {len(streams)} streams")
    return answers


def run_reader(command, streams):
    answers = run(command, streams)
    for answer in answers:
        for request in answer["requests"]:
            request["body"] = "".join(request["body"])
    return answers


def python_place(target, fields):
    host = [value for name, value in fields if name.lower() == "host"]
    try:
        url = urllib.parse.urlsplit(target if "://" in target.split("/", 1)[0] + "//" else f"//{host[0]}")
        return [url.hostname, url.port or 80]
    except (ValueError, IndexError):
        return None


def h11_request(conn, event):
    fields = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in event.headers.raw_items()]
    target = event.target.decode("latin-1")
    return {"method": event.method.decode("latin-1"), "target": target, "minor": int(event.http_version[2:]), "fields": fields,
            "place": python_place(target, fields), "body": "", "whole": False}


def h11_read(stream):
    requests = []
    at = 0
    while at < len(stream):
        conn = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        conn.receive_data(stream[at:])
        try:
            while True:
                event = conn.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    return {"requests": requests, "stop": "more", "why": ""}
                if isinstance(event, h11.Request):
                    requests.append(h11_request(conn, event))
                elif isinstance(event, h11.Data):
                    requests[-1]["body"] += event.data.decode("latin-1")
                else:
                    break
        except h11.RemoteProtocolError as e:
            return {"requests": requests, "stop": "refused", "why": str(e)}
        at = len(stream) - len(conn.trailing_data[0])
        requests[-1].update(whole=True, end=at)
    return {"requests": requests, "stop": "more", "why": ""}


def read_h11(streams):
    if not h11:
        raise Missing("python3-h11")
    return [h11_read(s) for s in streams]


def read_node(kind):
    def read(streams):
        if not shutil.which("node"):
            raise Missing("nodejs")
        return run_reader(["node", "--no-deprecation", str(HERE / "reader.js"), kind], streams)
    return read


def nginx_send(path, number, stream):
    """One connection; ends when nginx has done all it wants with it."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(path)
        try:
            s.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 %d 80\r\n" % number + stream)
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass
        except (BrokenPipeError, ConnectionResetError):
            pass


def nginx_answers(count, lines):
    """Streams by the port that they were sent with. What ends before it is whole is told without an answer having been sent."""
    answers = [{"requests": [], "stop": "more", "why": ""} for _ in range(count)]
    for line in lines:
        told = json.loads(line)
        answer = answers[int(told["stream"]) - 1]
        version = re.search(r" +HTTP/\d+\.(\d+) *$", told["line"])  # else HTTP/0.9
        target = told["line"][len(told["method"]) + 1:version.start() if version else None]
        whole = told["status"] == "204"
        if whole or (told["sent"] in UNANSWERED and version):
            before = answer["requests"][-1]["end"] if answer["requests"] else 0
            answer["requests"].append({"method": told["method"], "target": target, "minor": int(version[1]) if version else 9, "fields": None,
                                       "place": [told["host"], None], "body": told["body"], "whole": whole, "end": before + int(told["end"])})
        elif told["sent"] not in UNANSWERED:
            answer.update(stop="refused", why=told["status"])
    return answers


def read_nginx(streams):
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if not program:
        raise Missing("nginx-light")
    with tempfile.TemporaryDirectory() as place:
        conf = pathlib.Path(place, "nginx.conf")
        conf.write_text((HERE / "nginx.conf").read_text().replace("@DIR@", place))
        server = subprocess.Popen([program, "-p", place, "-c", str(conf), "-e", f"{place}/error.log"])
        try:
            while not pathlib.Path(place, "pid").exists() and server.poll() is None:
                time.sleep(0.01)
            for number, stream in enumerate(streams, 1):
                nginx_send(f"{place}/in.sock", number, stream)
        finally:
            server.send_signal(signal.SIGQUIT)
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                raise
        return nginx_answers(len(streams), pathlib.Path(place, "requests.log").read_text("latin-1").split("\n")[:-1])
