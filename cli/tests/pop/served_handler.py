"""A handler for the tests of `pop handler serve`. The parameters of a request say what it does."""

import json
import os
import signal
import sys
import time

from pop_handler import run_handler

begun = 0


def call(endpoint, command, parameters):
    import zmq

    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.connect(endpoint)
        socket.RCVTIMEO = 20_000
        socket.send_json({"command": command, "parameters": parameters})
        return socket.recv_json()


def handle(payload, context):
    global begun
    begun += 1
    begin = time.monotonic()
    match payload.get("do"):
        case "fail":
            raise RuntimeError("asked to fail")
        case "leave":
            os._exit(payload["status"])
        case "crash":
            print("last words", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        case "call":
            return {"answer": call(os.environ[payload["variable"]], "inner", {"n": payload["n"]})}
    time.sleep(payload.get("ms", 0) / 1000)
    if len(payload.get("filler", "")) > 1_000_000:
        # a result may not be longer than a request
        del payload["filler"]
    return {
        "got": payload, "pid": os.getpid(), "begin": begin, "end": time.monotonic(), "begun": begun,
        "action": context.environment.get("POP_ACTION"),
        "filler": "x" * payload.get("size", 0),
    }


sys.exit(run_handler(handle, {"about": "does what it is asked"}))
