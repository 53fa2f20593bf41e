"""What a handler of pop needs, in one file: launch data in, report lines and an exit status out.

It needs Python 3.11 and no packages. It reads the payload in each of its ways and the progress of an earlier attempt,
tells of progress, turns exceptions into a failed report, and stops when it is asked to.
"""

import base64
import binascii
import dataclasses
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
PROPERTY_FILES = ("config/external.properties", "config/external-properties", "/app/config/external.properties")


class HandlerError(Exception):
    """Why the work could not be done; `retry.on` and `ignoreErrors` of an agenda can name the code."""

    def __init__(self, message, code=None, payload=None):
        super().__init__(message)
        self.code = code
        self.payload = payload


class LaunchDataError(Exception):
    """What the process was given at its start cannot be used."""


class Context:
    """What a handler has at hand while it works."""

    def __init__(self, environment, tell, log, prior=None):
        self.operation = environment.get("OPERATION_NAME")
        self.attempt = environment.get("POP_ATTEMPT")
        self.cid = environment.get("CID")
        self.prior = prior if isinstance(prior, dict) else {}
        self._tell = tell
        self._log = log
        self._started = _now()
        self._percent = 0.0
        self._params = {}

    def log(self, line):
        """Writes a line into the log."""
        self._log(str(line))

    def progress(self, percent, message=None):
        """Tells how far the work is, from 0 to 100; less than before counts as before."""
        self._percent = max(self._percent, min(float(percent), 100.0))
        self._report("EXECUTING", message)

    def keep(self, name, value):
        """Keeps a value in the progress, for a later attempt to find."""
        self._params[name] = value

    def prior_param(self, name, default=None):
        """A value that an earlier attempt kept."""
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
        self._tell("progress", {key: value for key, value in progress.items() if value is not None})


def process(work, payload, context):
    """Calls `work(payload, context)` and reports its end, whatever that is; true if it succeeded."""
    try:
        try:
            payload = json.loads(payload)
        except ValueError as error:
            raise HandlerError(f"the payload is no JSON: {error}", "payload") from None
        # what cannot be told is found out before success is told
        result = json.loads(json.dumps(work(payload, context), allow_nan=False))
    except (Exception, SystemExit) as error:
        _stay()
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
    _stay()
    context._percent = 100.0
    context._tell("payload", result)
    context._report("COMPLETE", "succeeded", completedTime=_now())
    return True


def run_handler(work, description):
    """The body of a handler's `main`; gives the exit status."""
    try:
        arguments = _arguments(sys.argv[1:])
        if "help" in arguments:
            print(f"{sys.argv[0]}: {description['about']}\n\narguments: {_known()}")
            return SUCCEEDED
        if "describe" in arguments:
            print(json.dumps(description, indent=2))
            return SUCCEEDED
        properties = _properties(arguments, os.environ)
        _check_launch_types(arguments, os.environ, properties)
        payload = _payload(arguments, os.environ, properties)
        prior = _last_progress(arguments, os.environ, properties)
    except LaunchDataError as error:
        _log(f"error: {error}")
        return BAD_LAUNCH_DATA
    for number in _STOP:
        signal.signal(number, _stop)
    is_succeeded = process(work, payload, Context(os.environ, _tell, _log, prior))
    _log("HandlerComplete")
    return SUCCEEDED if is_succeeded else FAILED


@dataclasses.dataclass
class InMemoryRun:
    """What a handler did in a test."""

    is_succeeded: bool
    result: object
    progress: list
    log: list

    @property
    def codes(self):
        """The codes of what went wrong."""
        return [event.get("statusCode") for event in self.progress[-1].get("diagnosticEvents", [])]


def run_in_memory(work, payload, prior=None):
    """Runs a handler inside a test: no process, no environment, no signals."""
    told = {"progress": [], "payload": []}
    log = []
    context = Context({}, lambda name, value: told[name].append(value), log.append, prior)
    is_succeeded = process(work, json.dumps(payload), context)
    return InMemoryRun(is_succeeded, next(iter(told["payload"]), None), told["progress"], log)


_STOP = (signal.SIGTERM, signal.SIGINT)


def _stop(_number, _frame):
    _stay()
    raise HandlerError("asked to stop", "cancelled")


def _stay():
    """From here on the end is being told: being asked to stop changes nothing any more."""
    for number in _STOP:
        if signal.getsignal(number) is _stop:
            signal.signal(number, signal.SIG_IGN)


def _tell(name, value):
    line = f"pop.report.{name} {json.dumps(value, allow_nan=False)}\n"
    # a line is told as a whole or not at all
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


def _known():
    return ", ".join(f"--{name}" for name in ARGUMENTS + FLAGS)


def _arguments(tokens):
    """Takes `-name x`, `--name x`, `--name=x` and `--na-me x` apart, in any letter case."""
    found = {}
    tokens = list(tokens)
    names = {name.lower(): name for name in ARGUMENTS + FLAGS}
    while tokens:
        token = tokens.pop(0)
        given, has_value, value = token.partition("=")
        plain = given.replace("-", "").lower()
        if given == "-c":
            continue
        if not token.startswith("-") or plain not in names:
            raise LaunchDataError(f"unknown argument `{given}`; known are {_known()}")
        name = names[plain]
        if name in found:
            raise LaunchDataError(f"argument `{name}` is given twice")
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
    """The properties file: the one that is named, else the first of the default ones that is there."""
    named = arguments.get("propFile") or environment.get("POP_PROP_FILE")
    path = named or next(filter(os.path.exists, PROPERTY_FILES), None)
    lines = _read(path).replace("\\\n", "").splitlines() if path else []
    pairs = (re.match(r"\s*([^#!\s=:][^\s=:]*)\s*[=:\s]\s*(.*)", line) for line in lines)
    return {pair[1]: pair[2] for pair in pairs if pair}


def _check_launch_types(arguments, environment, properties):
    """A handler in Python needs neither, but a wrong word is a mistake that somebody made."""
    for name, variable in [("launchType", "POP_LAUNCH_TYPE"), ("externalLaunchType", "POP_EXTERNAL_LAUNCH_TYPE")]:
        value = arguments.get(name) or environment.get(variable) or properties.get(name) or "local"
        if value.lower() not in ("local", "docker", "kubernetes"):
            raise LaunchDataError(f"`{name}` is `{value}`: it is local, docker or kubernetes")


def _payload(arguments, environment, properties):
    """The payload as text: the file that an argument names, what the environment has, the file of the properties."""
    if "payloadFile" in arguments:
        return _read(arguments["payloadFile"])
    kind = environment.get("POP_PAYLOAD_TYPE", "").strip().lower()
    if kind == "file":
        if not environment.get("POP_PAYLOAD_FILE"):
            raise LaunchDataError("`POP_PAYLOAD_TYPE` is `file` but `POP_PAYLOAD_FILE` is not set")
        return _read(environment["POP_PAYLOAD_FILE"])
    if kind == "compressedenvvar":
        return _inflated(environment)
    if environment.get("PAYLOAD"):
        return environment["PAYLOAD"]
    if properties.get("payloadFile"):
        return _read(properties["payloadFile"])
    raise LaunchDataError("no payload; give `--payloadFile FILE` or set the environment variable `PAYLOAD`")


def _inflated(environment):
    """Segments, joined up to the first gap: base64 of zlib of UTF-8."""
    segments = []
    while segment := environment.get(f"POP_COMPRESSED_PAYLOAD_{len(segments)}"):
        segments.append(segment)
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(base64.b64decode("".join(segments), validate=True), PAYLOAD_LIMIT)
        text = data.decode("utf-8")
    except (binascii.Error, zlib.error, UnicodeDecodeError) as error:
        raise LaunchDataError(f"the compressed payload ({len(segments)} segments) cannot be read: {error}") from None
    if not inflater.eof:
        raise LaunchDataError(f"the compressed payload ({len(segments)} segments) has no end, or is too long")
    return text


def _last_progress(arguments, environment, properties):
    """What an earlier attempt reported last; one that is no JSON is as good as none."""
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
        _log(f"the last progress cannot be read and is ignored: {error}")
        return None


def _read(path):
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(PAYLOAD_LIMIT + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise LaunchDataError(f"`{path}` cannot be read: {error}") from None
    if len(text) > PAYLOAD_LIMIT:
        raise LaunchDataError(f"`{path}` is too long")
    return text
