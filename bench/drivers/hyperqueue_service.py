"""COUNT jobs of OPERATIONS chained tasks, one submission each, through a HyperQueue server and worker in this process:
COUNT OPERATIONS WIDTH PROGRAM. Prints the seconds from the first submission to the last end, and of one job alone."""

import json
import sys
import time

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig

COUNT, OPERATIONS, WIDTH = map(int, sys.argv[1:4])
PROGRAM = sys.argv[4]


def job():
    made, last = Job(), []
    for _ in range(OPERATIONS):
        last = [made.program([PROGRAM], stdout=None, stderr=None, deps=last)]
    return made


with LocalCluster() as cluster:
    cluster.start_worker(WorkerConfig(cores=WIDTH))
    client = cluster.client()
    client.wait_for_jobs([client.submit(job())])
    alone = []
    for _ in range(20):
        start = time.perf_counter()
        client.wait_for_jobs([client.submit(job())])
        alone.append(time.perf_counter() - start)
    start = time.perf_counter()
    client.wait_for_jobs([client.submit(job()) for _ in range(COUNT)])
    print(json.dumps({"all": time.perf_counter() - start, "alone": sorted(alone)[10]}))
