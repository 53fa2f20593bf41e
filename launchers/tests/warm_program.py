"""An instance of a warm handler for tests. The payload says what it does."""

import json
import os
import resource
import signal
import socket
import sys
import threading

state = json.loads(os.environ.get("STATE", "{}"))
if state.get("start") == "exit":
    print("cannot import anything", file=sys.stderr)
    sys.exit(3)
if state.get("start") == "silent":
    signal.pause()
if "POP_WARM_SOCKET" not in os.environ:
    print("run once", file=sys.stderr)
    print("pop.report.payload " + json.dumps({"once": os.environ.get("PAYLOAD"), "name": os.environ.get("OPERATION_NAME")}))
    sys.exit(0)

place = os.environ["POP_WARM_SOCKET"]
if "user" in state:
    os.setuid(state["user"])
if place.startswith("/"):
    # the socket of a container
    channel = socket.socket(socket.AF_UNIX)
    channel.connect(place)
else:
    channel = socket.socket(fileno=int(place))
stream = channel.makefile("rb")
lock = threading.Lock()
cancelled = {}


def send(kind, number, body=b""):
    with lock:
        channel.sendall(b"%s %s %d\n" % (kind.encode(), number, len(body)) + body)


def serve(number, body):
    head, _, payload = body.partition(b"\n\n")
    variables = dict(line.split("=", 1) for line in head.decode().splitlines() if line)
    payload = json.loads(payload)
    # looked up before the mark: a test that has seen the mark may write the file at once
    if os.path.exists("again"):
        payload.pop("do", None)
    if "mark" in payload:
        with open(payload["mark"], "a", encoding="utf-8") as file:
            print(os.getpid(), file=file)
    match payload.get("do", "echo"):
        case "print":
            # the pipes are read before the socket says that the operation has ended
            os.write(1, b"a stray print\nhello 0 0\n")
            os.write(2, b"and an error\n")
            send("log", number, b"a line of the log\n")
        case "progress":
            progress = {"processingState": "EXECUTING", "percentComplete": 40.0}
            send("report", number, b"pop.report.progress " + json.dumps(progress).encode())
        case "crash":
            os.write(2, b"about to crash\n")
            send("log", number, b"last words\n")
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.kill(os.getpid(), payload.get("signal", signal.SIGSEGV))
            signal.pause()
        case "leave":
            os._exit(payload["status"])
        case "garbage":
            with lock:
                channel.sendall(b"this is no frame\n")
            threading.Event().wait()
        case "half-close":
            channel.shutdown(socket.SHUT_WR)
            threading.Event().wait()
        case "wait":
            send("report", number, b'pop.report.progress {"processingState":"EXECUTING"}\n')
            cancelled[number].wait()
            send("end", number, b"1")
            return
        case "fail":
            send("log", number, b"why it failed\n")
            send("end", number, b"7")
            return
        case "secret":
            send("log", number, os.environ["TOKEN"].encode() + b"\n")
    result = {"payload": payload, "pid": os.getpid(), "host": os.uname().nodename, "variables": variables}
    if payload.get("size"):
        result["filler"] = "x" * payload["size"]
    send("report", number, b"pop.report.payload " + json.dumps(result).encode() + b"\n")
    send("end", number, b"0")


def main():
    cancels = state.get("cancels", True)
    hello = {"version": state.get("version", 1), "cancels": cancels, "pid": os.getpid()}
    send("hello", b"0", json.dumps(hello).encode())
    while head := stream.readline():
        kind, number, length = head.split()
        body = stream.read(int(length))
        match kind:
            case b"handle":
                cancelled[number] = threading.Event()
                threading.Thread(target=serve, args=(number, body), daemon=True).start()
            case b"cancel":
                cancelled[number].set()
            case b"bye":
                break


main()
