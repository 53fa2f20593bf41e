"""The graph as one job of a HyperQueue server and worker in this process: COUNT STEP WIDTH PROGRAM IS_NUMBERED."""

import sys

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig

COUNT, STEP, WIDTH = map(int, sys.argv[1:4])
PROGRAM, IS_NUMBERED = sys.argv[4], sys.argv[5] == "1"

with LocalCluster() as cluster:
    cluster.start_worker(WorkerConfig(cores=WIDTH))
    job = Job()
    tasks = []
    for number in range(COUNT):
        needs = [tasks[number - STEP]] if STEP and number >= STEP else []
        argv = [PROGRAM, str(number)] if IS_NUMBERED else [PROGRAM]
        tasks.append(job.program(argv, stdout=None, stderr=None, deps=needs))
    client = cluster.client()
    client.wait_for_jobs([client.submit(job)])
