#!/usr/bin/env python3
"""Content handler `notes`: keeps texts as files in the folder that the property `folder` names.

It speaks the handler contract with nothing but Python 3.11 and its standard library.
"""

import base64
import json
import os
import re
import signal
import sys
import traceback
import zlib
from pathlib import Path

DESCRIPTION = {
    "name": "notes",
    "version": "0.1.0",
    "about": "keeps texts as files",
    "actions": [
        {"name": "content.install", "about": "writes notes: units of `name` and `text`"},
        {"name": "content.uninstall", "about": "removes notes: units of `name`"},
        {"name": "content.profile", "about": "tells which notes are there"},
    ],
    "errors": [
        {"name": "payload", "about": "the payload is no call"},
        {"name": "not-implemented", "about": "the handler does not have the method"},
        {"name": "report", "about": "the method failed; the payload of the diagnostic is its report"},
    ],
}


def read_payload():
    """The payload, whichever way it comes."""
    kind = os.environ.get("POP_PAYLOAD_TYPE", "envVar").lower()
    if kind == "file":
        return json.loads(Path(os.environ["POP_PAYLOAD_FILE"]).read_text("utf-8"))
    if kind == "compressedenvvar":
        segments = []
        while segment := os.environ.get(f"POP_COMPRESSED_PAYLOAD_{len(segments)}"):
            segments.append(segment)
        return json.loads(zlib.decompress(base64.b64decode("".join(segments))))
    return json.loads(os.environ["PAYLOAD"])


def tell(name, value):
    print(f"pop.report.{name} {json.dumps(value)}", flush=True)


def fail(code, message, payload=None):
    event = {"message": message, "statusCode": code, "payload": payload}
    tell("progress", {"processingState": "COMPLETE", "processingStateMessage": "failed", "diagnosticEvents": [event]})
    return 1


def report(succeeded, details, num_changes=0):
    return {"succeeded": succeeded, "details": details, "num_changes": num_changes}


def place(folder, unit):
    """The file of a note; a name leads nowhere else."""
    name = unit["name"]
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(f"`{name}` is no name of a note: that is letters, digits, `_` and `-`")
    return folder / f"{name}.txt"


def install(call, folder):
    # all names are looked at before the first note is written
    notes = [(place(folder, unit), unit["text"]) for unit in call["units"]]
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for index, (path, text) in enumerate(notes):
        tell("progress", {"processingState": "EXECUTING", "percentComplete": 100 * index / len(notes)})
        if not path.exists() or path.read_text("utf-8") != text:
            # under its name it is whole or not there
            part = path.with_suffix(".part")
            part.write_text(text, "utf-8")
            part.rename(path)
            written.append(path.stem)
    return report(True, {"written": written}, len(written))


def uninstall(call, folder):
    paths = [place(folder, unit) for unit in call["units"]]
    removed = [path.stem for path in paths if path.exists()]
    for path in paths:
        path.unlink(missing_ok=True)
    return report(True, {"removed": removed}, len(removed))


def profile(_call, folder):
    return report(True, {"notes": sorted(path.stem for path in folder.glob("*.txt"))})


METHODS = {"install": install, "uninstall": uninstall, "profile": profile}


def main():
    if sys.argv[1:] == ["--describe"]:
        print(json.dumps(DESCRIPTION, indent=2))
        return 0
    try:
        call = read_payload()
        name = f"{call['capability']}.{call['method']}"
    except (OSError, LookupError, TypeError, ValueError, zlib.error) as error:
        return fail("payload", f"the payload is no call: {error!r}")
    method = METHODS.get(call["method"]) if call["capability"] == "content" else None
    if method is None:
        return fail("not-implemented", f"`{name}` is not implemented by this handler")
    try:
        done = method(call, Path(json.loads(os.environ["POP_PROPERTIES"])["folder"]))
    except Exception as error:  # whatever it is, it is reported
        done = report(False, {"message": str(error), "trace": traceback.format_exc()})
        print(done["details"]["trace"], file=sys.stderr)
    if not done["succeeded"]:
        return fail("report", f"`{name}` failed: {done['details']['message']}", done)
    # what succeeded is not undone by being asked to stop now
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tell("payload", done)
    tell("progress", {"processingState": "COMPLETE", "processingStateMessage": "succeeded", "percentComplete": 100})
    return 0


if __name__ == "__main__":
    sys.exit(main())
