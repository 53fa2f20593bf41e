"""The graph as luigi's tasks under its local scheduler: COUNT STEP WIDTH PROGRAM IS_NUMBERED."""

import subprocess
import sys

import luigi

COUNT, STEP, WIDTH = map(int, sys.argv[1:4])
PROGRAM, IS_NUMBERED = sys.argv[4], sys.argv[5] == "1"


class Op(luigi.Task):
    number = luigi.IntParameter()

    def requires(self):
        return [Op(self.number - STEP)] if STEP and self.number >= STEP else []

    def complete(self):
        # nothing is kept; the scheduler knows what has run
        return False

    def run(self):
        subprocess.run([PROGRAM, str(self.number)] if IS_NUMBERED else [PROGRAM], check=True)


config = luigi.configuration.get_config()
# whether what a task needs is there is not looked up again: the scheduler has just seen it end
config.set("worker", "check_unfulfilled_deps", "false")
# only those that nothing needs: each of these is followed down to its first need, whatever is known already
last = [Op(number) for number in range(COUNT - STEP if STEP else 0, COUNT)]
is_done = luigi.build(last, local_scheduler=True, workers=WIDTH, no_lock=True, log_level="CRITICAL")
sys.exit(0 if is_done else 1)
