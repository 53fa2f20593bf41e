#!/usr/bin/env python3
"""Handler `{{name}}`: repeats a text."""

import sys
import time

from pop_handler import HandlerError, run_handler

DESCRIPTION = {
    "name": "{{name}}",
    "version": "0.1.0",
    "about": "repeats a text",
    "errors": [
        {"name": "payload", "about": "the payload is not valid"},
        {"name": "cancelled", "about": "the operation was cancelled"},
    ],
    "payloadForms": ["envVar", "compressedEnvVar", "file"],
    "input": {
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "Text to repeat."},
            "times": {"type": "integer", "minimum": 1, "maximum": 999, "description": "Number of repetitions."},
            "pauseSeconds": {"type": "integer", "minimum": 0, "default": 0, "description": "Pause before each, in seconds."},
        },
        "required": ["text", "times"],
        "additionalProperties": False,
    },
    "result": {
        "type": "object",
        "properties": {"text": {"type": "string"}, "times": {"type": "integer"}},
        "required": ["text", "times"],
        "additionalProperties": False,
    },
}


def repeat(payload, context):
    """The work: takes the payload and returns the result. An exception fails the operation."""
    match payload:
        case {"text": str(text), "times": int(times), **more} if 1 <= times <= 999:
            pause = more.pop("pauseSeconds", 0)
        case _:
            raise HandlerError("the payload needs a text `text` and a number `times` from 1 to 999", "payload")
    if not isinstance(pause, int) or pause < 0:
        raise HandlerError("`pauseSeconds` must be a whole number from 0", "payload")
    if more:
        raise HandlerError(f"the payload has unknown fields: {', '.join(more)}", "payload")
    # continue after the last repetition of an earlier attempt
    done = context.prior_param("done", 0)
    for number in range(done + 1, times + 1):
        # a stop request raises an exception here: clean up with `with` and `finally`
        time.sleep(pause)
        context.log(f"{number} of {times}")
        context.keep("done", number)
        context.progress(100 * number / times)
    return {"text": " ".join([text] * times), "times": times}


if __name__ == "__main__":
    sys.exit(run_handler(repeat, DESCRIPTION))
