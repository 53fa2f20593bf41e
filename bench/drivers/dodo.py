"""The graph as doit's tasks; actions are lists, so no shell is started."""

from doit import get_var

COUNT, STEP = int(get_var("count")), int(get_var("step"))
PROGRAM, IS_NUMBERED = get_var("program"), get_var("numbered") == "1"


def task_op():
    for number in range(COUNT):
        yield {
            "name": str(number),
            "actions": [[PROGRAM, str(number)] if IS_NUMBERED else [PROGRAM]],
            "task_dep": [f"op:{number - STEP}"] if STEP and number >= STEP else [],
        }
