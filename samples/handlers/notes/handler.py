#!/usr/bin/env python3
"""Content handler `notes`: stores texts as files in the folder of the property `folder`.

It implements the handler contract with only Python 3.11 and its standard library.
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
    "about": "stores texts as files",
    "actions": [
        {"name": "content.install", "about": "writes notes: units of `name` and `text`"},
        {"name": "content.uninstall", "about": "removes notes: units of `name`"},
        {"name": "content.profile", "about": "lists the notes"},
    ],
    "errors": [
        {"name": "payload", "about": "the payload is not a call"},
        {"name": "not-implemented", "about": "the handler does not have the method"},
        {"name": "report", "about": "the method failed; the payload of the diagnostic is its report"},
    ],
}


def read_payload():
    """Reads the payload in any of its forms."""
    kind = os.environ.get("POP_PAYLOAD_TYPE", "envVar").lower()
    if kind == "file":
        return json.loads(Path(os.environ["POP_PAYLOAD_FILE"]).read_text("utf-8"))
    if kind == "compressedenvvar":
        segments = []
        while segment := os.environ.get(f"POP_COMPRESSED_PAYLOAD_{len(segments)}"):
            segments.append(segment)
        return json.loads(zlib.decompress(base64.b64decode("".join(segments))))
    return json.loads(os.environ["PAYLOAD"])


def print_report(name, value):
    print(f"pop.report.{name} {json.dumps(value)}", flush=True)


def fail(code, message, payload=None):
    event = {"message": message, "statusCode": code, "payload": payload}
    print_report("progress", {"processingState": "COMPLETE", "processingStateMessage": "failed", "diagnosticEvents": [event]})
    return 1


def report(succeeded, details, num_changes=0):
    return {"succeeded": succeeded, "details": details, "num_changes": num_changes}


def note_path(folder, unit):
    """Returns the file of a note. Rejects names that lead out of the folder."""
    name = unit["name"]
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(f"`{name}` is not a note name: use letters, digits, `_` and `-`")
    return folder / f"{name}.txt"


def install(call, folder):
    # check all names before writing the first note
    notes = [(note_path(folder, unit), unit["text"]) for unit in call["units"]]
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for index, (path, text) in enumerate(notes):
        print_report("progress", {"processingState": "EXECUTING", "percentComplete": 100 * index / len(notes)})
        if not path.exists() or path.read_text("utf-8") != text:
            # write and rename: the final name never has a half-written file
            part = path.with_suffix(".part")
            part.write_text(text, "utf-8")
            part.rename(path)
            written.append(path.stem)
    return report(True, {"written": written}, len(written))


def uninstall(call, folder):
    paths = [note_path(folder, unit) for unit in call["units"]]
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
        return fail("payload", f"the payload is not a call: {error!r}")
    method = METHODS.get(call["method"]) if call["capability"] == "content" else None
    if method is None:
        return fail("not-implemented", f"`{name}` is not implemented by this handler")
    try:
        outcome = method(call, Path(json.loads(os.environ["POP_PROPERTIES"])["folder"]))
    except Exception as error:  # every exception becomes a report
        outcome = report(False, {"message": str(error), "trace": traceback.format_exc()})
        print(outcome["details"]["trace"], file=sys.stderr)
    if not outcome["succeeded"]:
        return fail("report", f"`{name}` failed: {outcome['details']['message']}", outcome)
    # ignore stop requests from here on, so that the success is reported
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print_report("payload", outcome)
    print_report("progress", {"processingState": "COMPLETE", "processingStateMessage": "succeeded", "percentComplete": 100})
    return 0


if __name__ == "__main__":
    sys.exit(main())
