"""The handler contract of pop in one file, for Python 3.11 without packages.

`run_handler` reads the payload in each of its forms and the progress of an earlier attempt. It prints report lines, turns
exceptions into a failed report, stops on SIGTERM and SIGINT, and returns the exit status. If the registry entry sets `warm`,
it serves one operation after another instead, without a change of the handler.
"""

import base64
import binascii
import dataclasses
import io
import json
import os
import re
import signal
import sys
import time
import traceback
import zlib

SUCCEEDED, FAILED, BAD_LAUNCH_DATA = 0, 1, 2
PAYLOAD_LIMIT = 256 * 1024 * 1024
ARGUMENTS = (
    "launchType",
    "externalLaunchType",
    "propFile",
    "payloadFile",
    "lastProgressFile",
    "oauthCertPath",
    "oauthTokenPath",
    "confPath",
)
FLAGS = ("describe", "help")
_json = json.JSONEncoder(allow_nan=False).encode
PROPERTY_FILES = ("config/external.properties", "config/external-properties", "/app/config/external.properties")


class HandlerError(Exception):
    """A failure of the operation. An agenda can name its code in `retry.on` and `ignoreErrors`."""

    def __init__(self, message, code=None, payload=None):
        super().__init__(message)
        self.code = code
        self.payload = payload


class LaunchDataError(Exception):
    """An argument, variable or file of the launch is missing or wrong."""


class Context:
    """Progress, log, identity and variables of the operation, for the work."""

    def __init__(self, environment, report, log, prior=None):
        self.environment = environment
        self.operation = environment.get("OPERATION_NAME")
        self.attempt = environment.get("POP_ATTEMPT")
        self.cid = environment.get("CID")
        self.prior = prior if isinstance(prior, dict) else {}
        self._write_report = report
        self._write_log = log
        self._started = _now()
        self._percent = 0.0
        self._params = {}

    def log(self, line):
        """Writes a line to the log."""
        self._write_log(str(line))

    def progress(self, percent, message=None):
        """Reports progress in percent, from 0 to 100. A value below the last one repeats the last one."""
        self._percent = max(self._percent, min(float(percent), 100.0))
        self._report("EXECUTING", message)

    def keep(self, name, value):
        """Saves a value in the progress, for a later attempt."""
        self._params[name] = value

    def prior_param(self, name, default=None):
        """Returns a value that an earlier attempt saved."""
        params = self.prior.get("params")
        return params.get(name, default) if isinstance(params, dict) else default

    def _report(self, state, message, **more):
        progress = {
            "operation": self.operation,
            "processingState": state,
            "processingStateMessage": message,
            "percentComplete": self._percent,
            "startedTime": self._started,
            "params": self._params or None,
            **more,
        }
        self._write_report("progress", {key: value for key, value in progress.items() if value is not None})


def process(work, payload, context):
    """Calls `work(payload, context)` and reports success or failure. Returns true if the work succeeded."""
    try:
        try:
            payload = json.loads(payload)
        except ValueError as error:
            raise HandlerError(f"the payload is not JSON: {error}", "payload") from None
        # a result that is not JSON fails here, before success is reported
        result = json.loads(_json(work(payload, context)))
    except (Exception, SystemExit) as error:
        _ignore_stop()
        diagnostic = {"message": str(error), "statusCode": getattr(error, "code", None), "time": _now()}
        if isinstance(error, HandlerError):
            diagnostic["payload"] = error.payload
        else:
            diagnostic["message"] = f"{type(error).__name__}: {error}"
            diagnostic["statusCode"] = "exception"
            diagnostic["stackTrace"] = "".join(traceback.format_exception(error))
        diagnostic = {key: value for key, value in diagnostic.items() if value is not None}
        context._report("COMPLETE", "failed", completedTime=_now(), diagnosticEvents=[diagnostic])
        return False
    _ignore_stop()
    context._percent = 100.0
    context._write_report("payload", result)
    context._report("COMPLETE", "succeeded", completedTime=_now())
    return True


def run_handler(work, description):
    """The body of a handler's `main`. Returns the exit status."""
    try:
        arguments = _arguments(sys.argv[1:])
        if "help" in arguments:
            print(f"{sys.argv[0]}: {description['about']}\n\narguments: {_known_arguments()}")
            return SUCCEEDED
        if "describe" in arguments:
            print(json.dumps(description, indent=2))
            return SUCCEEDED
        properties = _properties(arguments, os.environ)
        _check_launch_types(arguments, os.environ, properties)
        if os.environ.get("POP_WARM_SOCKET"):
            return _ended(_serve(work, arguments, properties))
        payload = _payload(arguments, os.environ, properties)
        prior = _last_progress(arguments, os.environ, properties)
    except LaunchDataError as error:
        _log(f"error: {error}")
        return BAD_LAUNCH_DATA
    _await_stops(_cancel)
    is_succeeded = process(work, payload, Context(os.environ, _report, _log, prior))
    _log("HandlerComplete")
    return _ended(SUCCEEDED if is_succeeded else FAILED)


@dataclasses.dataclass
class InMemoryRun:
    """Outcome, progress and log of a handler in a test."""

    is_succeeded: bool
    result: object
    progress: list
    log: list

    @property
    def codes(self):
        """The codes of the diagnostic events in the last progress."""
        return [event.get("statusCode") for event in self.progress[-1].get("diagnosticEvents", [])]


def run_in_memory(work, payload, prior=None):
    """Runs a handler in a test, without a process, environment or signals."""
    reports = {"progress": [], "payload": []}
    log = []
    context = Context({}, lambda name, value: reports[name].append(value), log.append, prior)
    is_succeeded = process(work, json.dumps(payload), context)
    return InMemoryRun(is_succeeded, next(iter(reports["payload"]), None), reports["progress"], log)


_STOP = (signal.SIGTERM, signal.SIGINT)
_is_stopped = False
_on_stop = None


def _await_stops(on_stop):
    """Calls `on_stop` at the first stop request, in the midst of what runs then."""
    global _on_stop
    _on_stop = on_stop
    for number in _STOP:
        signal.signal(number, _stop)


def _stop(_number, _frame):
    global _is_stopped
    _is_stopped, on_stop = True, _on_stop
    _ignore_stop()
    if on_stop:
        on_stop()


def _cancel():
    raise HandlerError("asked to stop", "cancelled")


def _leave():
    raise SystemExit(SUCCEEDED)


def _ignore_stop():
    """Ignores stop requests from here on, so that none interrupts the final report."""
    global _on_stop
    _on_stop = None


def _ended(status):
    """Ignores stop requests to the very end: Python resets its handlers when it ends, and a stop would kill it then."""
    for number in _STOP:
        signal.signal(number, signal.SIG_IGN)
    return status


class _Channel:
    """The socket to the executor: frames of a line `KIND ID LENGTH` and a body (docs/warm.md of pop)."""

    def __init__(self, place):
        """`place` is the number of an inherited descriptor, or the absolute path of a socket to connect to."""
        import socket  # only a warm handler pays for the import

        if place.startswith("/"):
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.connect(place)
        else:
            self._socket = socket.socket(fileno=int(place))
            self._socket.set_inheritable(False)
        self._stream = self._socket.makefile("rb")
        self._unsent = b""

    def add(self, kind, number, body):
        self._unsent += b"%s %d %d\n%s" % (kind, number, len(body), body)

    def send(self, kind, number, body):
        """Sends a frame. A signal must not interrupt it."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
        try:
            self.add(kind, number, body)
            self._socket.sendall(self._unsent)
            self._unsent = b""
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def receive(self):
        """Returns kind, number and body of the next frame; none at the end of the stream."""
        head = self._stream.readline().split()
        if len(head) != 3:
            return None
        return head[0], int(head[1]), self._stream.read(int(head[2]))


class _Log(io.TextIOBase):
    """Standard output and standard error while an operation is in hand: its log."""

    def __init__(self, write_log):
        self._write_log = write_log

    def write(self, text):
        self._write_log(text)
        return len(text)


def _serve(work, arguments, properties):
    """Serves operations until the executor says bye, or asks to stop. Returns the exit status."""
    global _on_stop
    channel = _Channel(os.environ["POP_WARM_SOCKET"])
    base = dict(os.environ)
    streams = sys.stdout, sys.stderr
    _await_stops(_leave)
    channel.send(b"hello", 0, json.dumps({"version": 1, "pid": os.getpid()}).encode())
    while (frame := channel.receive()) and frame[0] != b"bye":
        kind, operation, body = frame
        if kind != b"handle":
            continue

        def log(text, operation=operation):
            channel.send(b"log", operation, text.encode())

        def report(name, value, operation=operation):
            line = f"pop.report.{name} {_json(value)}\n".encode()
            # the last reports go together with the end
            is_last = name == "payload" or value.get("processingState") == "COMPLETE"
            (channel.add if is_last else channel.send)(b"report", operation, line)

        lines, _, payload = body.decode().partition("\n\n") if body[:1] != b"\n" else ("", "", body[1:].decode())
        environment = base | dict(_variable(line) for line in lines.split("\n") if line)
        sys.stdout = sys.stderr = _Log(log)
        _on_stop = _cancel
        try:
            prior = _last_progress(arguments, environment, properties)
            context = Context(environment, report, lambda line: log(line + "\n"), prior)
            status = SUCCEEDED if process(work, payload, context) else FAILED
        except LaunchDataError as error:
            log(f"error: {error}\n")
            status = BAD_LAUNCH_DATA
        finally:
            _ignore_stop()
            sys.stdout, sys.stderr = streams
        channel.send(b"end", operation, b"%d" % status)
        _on_stop = _leave
        if _is_stopped:
            break
    return SUCCEEDED


_ESCAPES = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}


def _variable(line):
    name, _, value = line.partition("=")
    return name, re.sub(r"\\[\\nr]", lambda found: _ESCAPES[found[0]], value) if "\\" in value else value


def _report(name, value):
    line = f"pop.report.{name} {_json(value)}\n"
    # a signal must not interrupt a line
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    try:
        sys.stdout.write(line)
        sys.stdout.flush()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _log(line):
    print(line, file=sys.stderr, flush=True)


def _now():
    return int(time.time() * 1000)


def _known_arguments():
    return ", ".join(f"--{name}" for name in ARGUMENTS + FLAGS)


def _arguments(tokens):
    """Parses `-name x`, `--name x`, `--name=x` and `--na-me x`, in any letter case."""
    found = {}
    tokens = list(tokens)
    names = {name.lower(): name for name in ARGUMENTS + FLAGS}
    while tokens:
        token = tokens.pop(0)
        option, has_value, value = token.partition("=")
        plain = option.replace("-", "").lower()
        if option == "-c":
            continue
        if not token.startswith("-") or plain not in names:
            raise LaunchDataError(f"unknown argument `{option}`; known arguments: {_known_arguments()}")
        name = names[plain]
        if name in found:
            raise LaunchDataError(f"argument `{name}` occurs twice")
        if name in FLAGS:
            if has_value:
                raise LaunchDataError(f"flag `{name}` takes no value")
        elif not has_value:
            # a value that looks like an argument needs `=`
            is_value = tokens and not (tokens[0].startswith("-") and tokens[0].lstrip("-")[:1].isalpha())
            value = tokens.pop(0) if is_value else ""
        if name not in FLAGS and not value:
            raise LaunchDataError(f"argument `{name}` has no value")
        found[name] = value
    return found


def _properties(arguments, environment):
    """Reads the named properties file, else the first default one that exists."""
    named = arguments.get("propFile") or environment.get("POP_PROP_FILE")
    path = named or next(filter(os.path.exists, PROPERTY_FILES), None)
    lines = _read(path).replace("\\\n", "").splitlines() if path else []
    pairs = (re.match(r"\s*([^#!\s=:][^\s=:]*)\s*[=:\s]\s*(.*)", line) for line in lines)
    return {pair[1]: pair[2] for pair in pairs if pair}


def _check_launch_types(arguments, environment, properties):
    """Rejects unknown launch types. This handler uses neither value, but a wrong one is a mistake of the caller."""
    for name, variable in [("launchType", "POP_LAUNCH_TYPE"), ("externalLaunchType", "POP_EXTERNAL_LAUNCH_TYPE")]:
        value = arguments.get(name) or environment.get(variable) or properties.get(name) or "local"
        if value.lower() not in ("local", "docker", "kubernetes"):
            raise LaunchDataError(f"`{name}` must be local, docker or kubernetes, not `{value}`")


def _payload(arguments, environment, properties):
    """Returns the payload as text: from the argument's file, else the environment, else the properties' file."""
    if "payloadFile" in arguments:
        return _read(arguments["payloadFile"])
    kind = environment.get("POP_PAYLOAD_TYPE", "").strip().lower()
    if kind == "file":
        if not environment.get("POP_PAYLOAD_FILE"):
            raise LaunchDataError("`POP_PAYLOAD_TYPE` is `file`, but `POP_PAYLOAD_FILE` is not set")
        return _read(environment["POP_PAYLOAD_FILE"])
    if kind == "compressedenvvar":
        return _inflate(environment)
    if environment.get("PAYLOAD"):
        return environment["PAYLOAD"]
    if properties.get("payloadFile"):
        return _read(properties["payloadFile"])
    raise LaunchDataError("no payload: add `--payloadFile FILE` or set the environment variable `PAYLOAD`")


def _inflate(environment):
    """Joins the segments up to the first gap and decodes them: base64 of zlib of UTF-8."""
    segments = []
    while segment := environment.get(f"POP_COMPRESSED_PAYLOAD_{len(segments)}"):
        segments.append(segment)
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(base64.b64decode("".join(segments), validate=True), PAYLOAD_LIMIT)
        text = data.decode("utf-8")
    except (binascii.Error, zlib.error, UnicodeDecodeError) as error:
        raise LaunchDataError(f"cannot read the compressed payload ({len(segments)} segments): {error}") from None
    if not inflater.eof:
        raise LaunchDataError(f"the compressed payload ({len(segments)} segments) is incomplete or too long")
    return text


def _last_progress(arguments, environment, properties):
    """Returns the last progress of an earlier attempt. Text that is not JSON counts as none."""
    if "lastProgressFile" in arguments:
        text = _read(arguments["lastProgressFile"])
    elif environment.get("LAST_PROGRESS"):
        text = environment["LAST_PROGRESS"]
    elif environment.get("POP_LAST_PROGRESS_FILE"):
        text = _read(environment["POP_LAST_PROGRESS_FILE"])
    elif properties.get("lastProgressFile"):
        text = _read(properties["lastProgressFile"])
    else:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        _log(f"cannot read the last progress, ignoring it: {error}")
        return None


def _read(path):
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(PAYLOAD_LIMIT + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise LaunchDataError(f"cannot read `{path}`: {error}") from None
    if len(text) > PAYLOAD_LIMIT:
        raise LaunchDataError(f"`{path}` is too long")
    return text
