"""One run of one tool: its wall time, the CPU time and the peak memory of it and all its children."""

import os
import shutil
import signal
import subprocess
import threading
import time

from graphs import Program
from tools import ROOT, TARGET, environment

WORK = TARGET / "work"


class BenchError(Exception):
    pass


class Hung(BenchError):
    pass


class Prepared:
    """A tool with its input for one graph and count, ready to be run again and again."""

    def __init__(self, tool, graph, count, program=None):
        self.tool, self.graph, self.count = tool, graph, count
        self.program = program or Program()
        self.folder = WORK / f"{tool.name}-{graph.name}-{count}".replace(" ", "")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.argv = tool.prepare(self.folder, graph, count, self.program)

    def limit(self):
        """After how many seconds it counts as hung: far more than the slowest needs."""
        return max(180, self.count // 500)

    def run(self):
        """Runs it once in a folder of its own, which is removed again after the clock has stopped."""
        run_folder, memory = self.folder / "run", self.folder / "memory"
        run_folder.mkdir()
        # GNU time is between, because a program started from here would have the memory of this interpreter as its peak
        argv = ["/usr/bin/time", "-q", "-o", str(memory), "-f", "%M", *self.argv]
        nothing = subprocess.DEVNULL
        given = {"cwd": run_folder, "env": environment(), "stdin": nothing, "stdout": nothing, "stderr": nothing}
        started = time.monotonic()
        child = subprocess.Popen(argv, **given, start_new_session=True)
        limit = threading.Timer(self.limit(), os.killpg, (child.pid, signal.SIGKILL))
        limit.start()
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - started
        limit.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode == -signal.SIGKILL:
            shutil.rmtree(run_folder)
            raise Hung(f"{self.tool.name} was not done with {self.count} operations in {self.limit()} s")
        if child.returncode != 0:
            raise BenchError(f"{self.tool.name} ended with {child.returncode}; in {run_folder}: {' '.join(self.argv)}")
        peak = int(memory.read_text().split()[-1])
        shutil.rmtree(run_folder)
        return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "peak_kib": peak}

    def shown(self):
        """The command line as it is told to people."""
        return " ".join(word.replace(f"{self.folder}/", "").replace(f"{ROOT}/", "") for word in self.argv)

    def remove(self):
        shutil.rmtree(self.folder)


def check(tool, graph, count):
    """Runs a program that writes its number down, and demands that each was run once, after what it needs."""
    WORK.mkdir(parents=True, exist_ok=True)
    script, written = WORK / "note", WORK / "noted"
    script.write_text(f'#!/bin/sh\necho "$1" >>"{written}"\n')
    script.chmod(0o755)
    written.write_text("")
    is_numbered = tool.name != "bare"
    prepared = Prepared(tool, graph, count, Program(script, is_numbered))
    prepared.run()
    prepared.remove()
    order = written.read_text().splitlines()
    if len(order) != count:
        raise BenchError(f"{tool.name} ran {len(order)} of {count} operations of {graph.name}")
    if not is_numbered:
        return
    place = {int(number): at for at, number in enumerate(order)}
    for number in range(count):
        if number not in place:
            raise BenchError(f"{tool.name} did not run operation {number} of {graph.name}")
        needs = graph.needs(number)
        if needs is not None and place[needs] > place[number]:
            raise BenchError(f"{tool.name} ran operation {number} of {graph.name} before {needs}, which it needs")
