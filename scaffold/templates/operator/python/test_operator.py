"""Tests of operator `{{name}}`, in memory."""

import unittest

from operator_handler import handle
from pop_handler import run_in_memory


def request(event="sync", children=()):
    parent = {"metadata": {"name": "a", "namespace": "n", "uid": "u"}, "spec": {"text": "hello", "replicas": 2}}
    return {"event": event, "parent": parent, "children": list(children), "failures": 0, "lastFailure": None}


class Sync(unittest.TestCase):
    def test_children_follow_the_spec(self):
        result = run_in_memory(handle, request()).result
        page, deployment = result["children"]
        self.assertEqual(page["data"], {"index.html": "hello"})
        self.assertEqual(deployment["spec"]["replicas"], 2)
        self.assertEqual(result["status"], {"ready": 0, "phase": "Pending"})

    def test_status_follows_the_children(self):
        seen = {"kind": "Deployment", "status": {"readyReplicas": 2}}
        result = run_in_memory(handle, request(children=[seen])).result
        self.assertEqual(result["status"], {"ready": 2, "phase": "Ready"})

    def test_equal_requests_have_equal_answers(self):
        self.assertEqual(run_in_memory(handle, request()).result, run_in_memory(handle, request()).result)

    def test_deletion_goes_on(self):
        self.assertEqual(run_in_memory(handle, request("finalize")).result, {"finalized": True})


if __name__ == "__main__":
    unittest.main()
