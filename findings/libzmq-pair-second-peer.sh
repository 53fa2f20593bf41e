#!/usr/bin/env bash
# A second peer of a bound libzmq PAIR socket completes its handshake, may send, and is never served: also not when the
# first peer is gone, and no event says so.
#
# Version: pyzmq 27.3.0 with libzmq 4.3.5, tcp on loopback.
# A PAIR takes one peer. One would expect that a second one is refused, or waits and is served when the first leaves, as its
# automatic reconnection suggests. Seen here: the monitor of the second peer says CONNECTED and HANDSHAKE_SUCCEEDED and then
# nothing more; its send returns without an error, and the message is lost; after the first peer has closed, the second is still
# bound to nobody, while a third peer is served at once.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: pyzmq==27.3.0
said=$("$folder/venv/bin/python" - <<'PY'
import time

import zmq
from zmq.utils.monitor import recv_monitor_message

print("libzmq", zmq.zmq_version())
context = zmq.Context()
bound = context.socket(zmq.PAIR)
endpoint = f"tcp://127.0.0.1:{bound.bind_to_random_port('tcp://127.0.0.1')}"
bound.RCVTIMEO = 2_000


def peer():
    socket = context.socket(zmq.PAIR)
    socket.LINGER = 0
    monitor = socket.get_monitor_socket()
    socket.connect(endpoint)
    return socket, monitor


def received():
    try:
        return bound.recv().decode()
    except zmq.Again:
        return "nothing"


first, _ = peer()
first.send(b"from the first")
print("bound socket received:", received())
second, monitor = peer()
while recv_monitor_message(monitor)["event"] != zmq.Event.HANDSHAKE_SUCCEEDED:
    pass
second.send(b"from the second", zmq.NOBLOCK)
print("second peer: sent without an error")
first.close()
print("bound socket received:", received())
print("later events of the second peer:", "some" if monitor.poll(2_000) else "none")
third, _ = peer()
third.send(b"from the third")
print("bound socket received:", received())
context.destroy(linger=0)
PY
)
echo "$said"
[ "$said" = "libzmq 4.3.5
bound socket received: from the first
second peer: sent without an error
bound socket received: nothing
later events of the second peer: none
bound socket received: from the third" ]
