"""The graphs that are run: operation i needs operation i - step, and nothing if there is none or step is 0."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Graph:
    name: str
    step: int
    width: int
    """How many operations run at once."""

    def needs(self, number):
        """The number of the operation that this one waits for, if any."""
        return number - self.step if self.step and number >= self.step else None


GRAPHS = {
    graph.name: graph
    for graph in (Graph("wide", step=0, width=2), Graph("chain", step=1, width=1), Graph("layers", step=40, width=2))
}


class Program:
    """What each operation is: `/bin/true`, or a script that notes that it was run."""

    def __init__(self, path="/bin/true", is_numbered=False):
        self.path = str(path)
        self.is_numbered = is_numbered

    def argv(self, number):
        return [self.path, str(number)] if self.is_numbered else [self.path]
