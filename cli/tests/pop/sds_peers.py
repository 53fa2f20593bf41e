"""Callers of a served handler, written from docs/serve.md alone, with pyzmq. One function is one scenario.

    sds_peers.py SCENARIO ARGUMENTS-AS-JSON

Prints what the callers saw, as JSON.
"""

import json
import socket as plain
import sys
import time

import zmq

context = zmq.Context()
PATIENCE = 60_000


def open_socket(kind, endpoint, **options):
    socket = context.socket(kind)
    socket.LINGER = 0
    socket.RCVTIMEO = PATIENCE
    for name, value in options.items():
        setattr(socket, name, value)
    socket.connect(endpoint)
    return socket


def request(parameters=None, command="work", **more):
    return json.dumps({"command": command, "parameters": parameters or {}, **more}).encode()


def ask(socket, parameters=None, command="work", **more):
    socket.send(request(parameters, command, **more))
    return json.loads(socket.recv())


def call(endpoint, requests):
    """One caller, one request after another: `requests` are pairs of command and parameters."""
    socket = open_socket(zmq.REQ, endpoint)
    return [ask(socket, parameters, command) for command, parameters in requests]


def raw(endpoint, bodies):
    """Bodies as they are, from one caller."""
    socket = open_socket(zmq.REQ, endpoint)
    replies = []
    for body in bodies:
        socket.send(body.encode())
        replies.append(socket.recv().decode())
    return replies


def crowd(endpoint, callers, parameters):
    """As many callers, each with a connection and one request; all send before any receives."""
    sockets = [open_socket(zmq.REQ, endpoint) for _ in range(callers)]
    for number, socket in enumerate(sockets):
        socket.send(request({**parameters, "caller": number}))
    return [json.loads(socket.recv()) for socket in sockets]


def overload(endpoint, callers, refused, file):
    """As many callers, each with one request. When so many have a reply, the file is written, and the others wait for theirs."""
    sockets = [open_socket(zmq.REQ, endpoint) for _ in range(callers)]
    poller = zmq.Poller()
    for socket in sockets:
        poller.register(socket, zmq.POLLIN)
        socket.send(request())
    replies = []
    while len(replies) < callers:
        for socket, _ in poller.poll(PATIENCE):
            replies.append(json.loads(socket.recv()))
            poller.unregister(socket)
        if len(replies) >= refused:
            open(file, "w", encoding="utf-8").write("full\n")
    return replies


def queue(endpoint, count, parameters):
    """One DEALER sends everything before it receives anything. Returns the replies in the order in which they come."""
    socket = open_socket(zmq.DEALER, endpoint)
    for number in range(count):
        socket.send_multipart([b"", request({**parameters, "number": number}, uuid=str(number))])
    return [json.loads(socket.recv_multipart()[-1]) for _ in range(count)]


def frames(endpoint):
    """The frames of replies to requests in every form."""
    seen = {}
    body = request({"n": 1})
    req = open_socket(zmq.REQ, endpoint)
    for name, parts in [("req", [body]), ("req with an empty frame", [b"", body]), ("req in parts", [body[:9], body[9:]])]:
        req.send_multipart(parts)
        seen[name] = req.recv_multipart()
    correlated = open_socket(zmq.REQ, endpoint, REQ_CORRELATE=1)
    correlated.send(body)
    seen["correlated"] = correlated.recv_multipart()
    dealer = open_socket(zmq.DEALER, endpoint)
    for name, parts in [("dealer", [b"", body]), ("dealer without a frame", [body]), ("dealer with two", [b"", b"", body])]:
        dealer.send_multipart(parts)
        seen[name] = dealer.recv_multipart()
    return {
        name: [frame.decode() if len(frame) == 0 else json.loads(frame)["status"] for frame in parts]
        for name, parts in seen.items()
    }


def subscribers(trigger, broadcast, count, messages):
    """Subscribers of all commands, and one of commands that begin with `b`."""
    everything = [open_socket(zmq.SUB, broadcast) for _ in range(count)]
    for socket in everything:
        socket.subscribe(b"")
    some = open_socket(zmq.SUB, broadcast)
    some.subscribe(b"b")
    caller = open_socket(zmq.REQ, trigger)
    for socket in [*everything, some]:
        # a subscription takes effect when its first message comes
        socket.RCVTIMEO = 50
        while True:
            ask(caller, command="before")
            try:
                socket.recv_multipart()
                break
            except zmq.Again:
                pass
    ask(caller, command="begin")
    seen = []
    for socket in [*everything, some]:
        socket.RCVTIMEO = PATIENCE
        while socket.recv_multipart()[0] != b"begin":
            pass
    replies = [ask(caller, {"n": number}, "a" if number % 2 else "b") for number in range(messages)]
    for index, socket in enumerate([*everything, some]):
        wanted = messages if index < count else (messages + 1) // 2
        got = [socket.recv_multipart() for _ in range(wanted)]
        seen.append([[parts[0].decode(), len(parts), json.loads(parts[-1])["parameters"]["n"]] for parts in got])
    return {"replies": replies, "seen": seen}


def receivers(trigger, broadcast, count, messages):
    """Receivers that are connected before the first message."""
    sockets = [open_socket(zmq.PULL, broadcast) for _ in range(count)]
    caller = open_socket(zmq.REQ, trigger)
    poller = zmq.Poller()
    for socket in sockets:
        poller.register(socket)
    connected, asked, received = set(), 0, 0
    while len(connected) < count or received < asked:
        if len(connected) < count:
            ask(caller, command="before")
            asked += 1
        for socket, _ in poller.poll(50):
            socket.recv_multipart()
            received += 1
            connected.add(socket)
    replies = [ask(caller, {"n": number}) for number in range(messages)]
    seen = {index: [] for index in range(count)}
    for _ in range(messages):
        (socket, _), *_ = poller.poll(PATIENCE)
        parts = socket.recv_multipart()
        seen[sockets.index(socket)].append([parts[0].decode(), parts[1].decode(), json.loads(parts[2])["parameters"]["n"]])
    return {"replies": replies, "seen": list(seen.values())}


def triggers(trigger, count):
    """Triggers of one caller; the replies."""
    caller = open_socket(zmq.REQ, trigger)
    return [ask(caller, {"n": number}) for number in range(count)]


def pull(broadcast, count):
    """One receiver that comes late."""
    socket = open_socket(zmq.PULL, broadcast)
    return [json.loads(socket.recv_multipart()[-1])["parameters"]["n"] for _ in range(count)]


def pair(endpoint):
    """A peer, a second one beside it, and one after it."""
    first = open_socket(zmq.PAIR, endpoint)
    replies = [ask(first, {"n": number})["parameters"]["got"]["n"] for number in range(5)]
    second = open_socket(zmq.PAIR, endpoint)
    second.send(request({"n": 9}))
    second.RCVTIMEO = 500
    try:
        second.recv()
        beside = "answered"
    except zmq.Again:
        beside = "not answered"
    replies.append(ask(first, {"n": 5})["parameters"]["got"]["n"])
    first.close()
    second.RCVTIMEO = PATIENCE
    after = [json.loads(second.recv())["parameters"]["got"]["n"]]
    second.close()
    third = open_socket(zmq.PAIR, endpoint)
    after.append(ask(third, {"n": 6})["parameters"]["got"]["n"])
    return {"replies": replies, "beside": beside, "after": after}


def misbehave(host, port):
    """Peers that break the protocol, each followed by a caller that must be answered."""
    endpoint = f"tcp://{host}:{port}"

    def connect():
        return plain.create_connection((host, port), timeout=20)

    def closed(connection):
        try:
            while connection.recv(65_536):
                pass
            return True
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    seen = {}
    http = connect()
    http.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: something that is long enough\r\nAccept: */*\r\n\r\n")
    seen["http is cut"] = closed(http)
    half = connect()
    half.sendall(b"\xff\0\0\0\0\0\0\0\1\x7f\3")
    half.close()
    silent = [connect() for _ in range(50)]
    large = open_socket(zmq.DEALER, endpoint)
    large.send_multipart([b"", b"x" * (17 * 1024 * 1024)])
    large.RCVTIMEO = 500
    try:
        large.recv()
        seen["a large message"] = "answered"
    except zmq.Again:
        seen["a large message"] = "not answered"
    just = open_socket(zmq.REQ, endpoint)
    just.send(request({"ms": 0, "filler": "x" * (16 * 1024 * 1024 - 100)}))
    seen["16 MiB"] = json.loads(just.recv())["status"]
    beats = open_socket(zmq.REQ, endpoint, HEARTBEAT_IVL=50, HEARTBEAT_TIMEOUT=5_000)
    monitor = beats.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    seen["with heartbeats"] = [ask(beats, {"ms": 200})["status"] for _ in range(4)]
    seen["disconnections"] = int(monitor.poll(0))
    names = [open_socket(zmq.DEALER, endpoint, IDENTITY=b"same") for _ in range(2)]
    for socket in names:
        socket.send_multipart([b"", request({"n": 1})])
    seen["one name"] = [json.loads(socket.recv_multipart()[-1])["status"] for socket in names]
    gone = open_socket(zmq.DEALER, endpoint, LINGER=1_000)
    gone.send_multipart([b"", request({"ms": 200})])
    gone.close()
    unread = open_socket(zmq.DEALER, endpoint, RCVHWM=1)
    for number in range(2_000):
        unread.send_multipart([b"", request({"n": number})])
    caller = open_socket(zmq.REQ, endpoint)
    seen["afterwards"] = ask(caller, {"n": 7})["parameters"].get("got")
    begun = time.monotonic()
    seen["silent ones are cut"] = all([closed(connection) for connection in silent]) and time.monotonic() - begun < 20
    return seen


def load(endpoint, callers, each):
    """Callers that keep asking; the replies by status and message."""
    sockets = [open_socket(zmq.REQ, endpoint) for _ in range(callers)]
    poller = zmq.Poller()
    left = {}
    for socket in sockets:
        poller.register(socket, zmq.POLLIN)
        left[socket] = each
        socket.send(request({"ms": 5}))
    seen = {}
    while any(left.values()):
        ready = poller.poll(PATIENCE)
        if not ready:
            raise TimeoutError(f"{sum(left.values())} requests have no reply")
        for socket, _ in ready:
            reply = json.loads(socket.recv())
            word = f"{reply['status']} {reply['message']}".strip()
            seen[word] = seen.get(word, 0) + 1
            left[socket] -= 1
            if left[socket]:
                socket.send(request({"ms": 5}))
    return seen


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](**json.loads(sys.argv[2]))))
    context.destroy(linger=0)
