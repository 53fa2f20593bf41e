"""The tools that are measured: how each is told of a graph, and its command line.

Each has its best honest setting: no output that is not needed, no shell where it can do without, no database where it
can do without. `prepare` writes what the tool reads into a folder and returns the command line; the tool is run in
another folder, fresh each time.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "target" / "bench"
DRIVERS = ROOT / "bench" / "drivers"
VENV = TARGET / "venv" / "bin"
POP = ROOT / "target" / "release" / "pop"
PROFILED = ROOT / "target" / "pgo" / "pop"
"""What `deploy/release` builds; it is measured only if it is there."""
ALL = ("wide", "chain", "layers")


@dataclass(frozen=True)
class Tool:
    name: str
    prepare: Callable
    version: tuple
    """The command that prints its version, or the package of the environment that it is."""
    is_heavy: bool = False
    """Whether it takes so long that it is given fewer operations and rounds."""
    graphs: tuple = ALL

    def version_text(self):
        if self.version[0] == "package":
            code = f"from importlib.metadata import version; print(version('{self.version[1]}'))"
            argv = [VENV / "python", "-c", code]
        else:
            argv = self.version
        said = subprocess.run(argv, capture_output=True, text=True, check=False)
        lines = (said.stdout + said.stderr).strip().splitlines()
        words = lines[0].split() if lines else ["?"]
        return next((word for word in words if word[:1].isdigit()), words[0])


def bare(folder, graph, count, program):
    return [str(ROOT / "target/release/examples/bare_spawn"), str(count), str(graph.width), program.path]


def pop(*options, by=POP):
    def prepare(folder, graph, count, program):
        operations = []
        for number in range(count):
            operation = {"name": f"op{number}", "type": "exec", "payload": {"command": program.argv(number)}}
            if graph.needs(number) is not None:
                operation["params"] = {"dependsOn": f"op{graph.needs(number)}"}
            operations.append(operation)
        agenda = folder / "agenda.json"
        agenda.write_text(json.dumps({"operations": operations}))
        return [str(by), "run", str(agenda), "-j", str(graph.width), "--runs", "runs", *options]

    return prepare


def make(folder, graph, count, program):
    names = " ".join(f"op{number}" for number in range(count))
    lines = [f".PHONY: all {names}", f"all: {names}"]
    for number in range(count):
        needs = graph.needs(number)
        lines += [f"op{number}:" + (f" op{needs}" if needs is not None else ""), "\t" + " ".join(program.argv(number))]
    makefile = folder / "Makefile"
    makefile.write_text("\n".join(lines) + "\n")
    return ["make", "-srR", f"-j{graph.width}", "-f", str(makefile), "all"]


def ninja(folder, graph, count, program):
    lines = ["rule run", "  command = $command"]
    for number in range(count):
        needs = graph.needs(number)
        lines += [f"build op{number}: run" + (f" op{needs}" if needs is not None else "")]
        lines += ["  command = " + " ".join(program.argv(number))]
    build = folder / "build.ninja"
    build.write_text("\n".join(lines) + "\n")
    return ["ninja", "--quiet", f"-j{graph.width}", "-f", str(build)]


def one_a_line(folder, count):
    path = folder / "numbers"
    path.write_text("".join(f"{number}\n" for number in range(count)))
    return str(path)


def xargs(folder, graph, count, program):
    # -I without {} in the command: one call a line, the line itself is not handed over
    command = [program.path, "{}"] if program.is_numbered else [program.path]
    return ["xargs", "-a", one_a_line(folder, count), "-P", str(graph.width), "-I", "{}", *command]


def parallel(folder, graph, count, program):
    command = [program.path, "{}"] if program.is_numbered else ["-N0", program.path]
    return ["parallel", "--will-cite", "--ungroup", "-j", str(graph.width), "-a", one_a_line(folder, count), *command]


def go_task(folder, graph, count, program):
    tasks = {"all": {"deps": [f"op{number}" for number in range(count)]}}
    for number in range(count):
        needs = graph.needs(number)
        task = {"cmds": [" ".join(program.argv(number))], "run": "once"}
        tasks[f"op{number}"] = task if needs is None else task | {"deps": [f"op{needs}"]}
    taskfile = folder / "Taskfile.yml"
    # JSON is YAML
    taskfile.write_text(json.dumps({"version": "3", "silent": True, "method": "none", "tasks": tasks}))
    return [str(VENV / "task"), "-t", str(taskfile), "-d", ".", "-C", str(graph.width), "all"]


def doit(folder, graph, count, program):
    argv = [str(VENV / "doit"), "run", "-f", str(DRIVERS / "dodo.py"), "-d", "."]
    argv += ["--backend", "json", "--reporter", "zero", "--verbosity", "0"]
    argv += ["-n", str(graph.width), "-P", "thread"] if graph.width > 1 else []
    return [*argv, f"count={count}", f"step={graph.step}", f"program={program.path}", f"numbered={program.is_numbered:d}"]


def python_driver(name):
    def prepare(folder, graph, count, program):
        argv = [str(VENV / "python"), str(DRIVERS / name), str(count), str(graph.step), str(graph.width)]
        return [*argv, program.path, f"{program.is_numbered:d}"]

    return prepare


def snakemake(folder, graph, count, program):
    argv = [str(VENV / "snakemake"), "--snakefile", str(DRIVERS / "Snakefile"), "--cores", str(graph.width)]
    argv += ["--quiet", "all", "--nolock", "--scheduler", "greedy", "--rerun-triggers", "mtime", "--latency-wait", "0"]
    argv += ["--config", f"count={count}", f"step={graph.step}", f"program={program.path}"]
    return [*argv, f"numbered={program.is_numbered:d}"]


TOOLS = {
    tool.name: tool
    for tool in (
        Tool("bare", bare, ("echo", "-")),
        Tool("pop", pop(), (str(POP), "--version")),
        *([Tool("pop, profile-guided", pop(by=PROFILED), (str(PROFILED), "--version"))] if PROFILED.exists() else []),
        Tool("make", make, ("make", "--version")),
        Tool("xargs", xargs, ("xargs", "--version"), graphs=("wide",)),
        Tool("ninja", ninja, ("ninja", "--version")),
        Tool("pop --sync each", pop("--sync", "each"), (str(POP), "--version"), is_heavy=True),
        Tool("doit", doit, ("package", "doit"), is_heavy=True),
        Tool("go-task", go_task, ("package", "go-task-bin"), is_heavy=True),
        Tool("HyperQueue", python_driver("hyperqueue_job.py"), ("package", "hyperqueue"), is_heavy=True),
        Tool("GNU parallel", parallel, ("parallel", "--version"), is_heavy=True, graphs=("wide",)),
        Tool("luigi", python_driver("luigi_tasks.py"), ("package", "luigi"), is_heavy=True),
        Tool("Snakemake", snakemake, ("package", "snakemake"), is_heavy=True),
    )
}


def environment():
    """What each tool is given: a home of its own, so that nothing of the user's is read or written."""
    home = TARGET / "home"
    home.mkdir(parents=True, exist_ok=True)
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8"}
