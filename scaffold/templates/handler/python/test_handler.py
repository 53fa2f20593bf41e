"""Tests of handler `{{name}}`: in memory, and as a program."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
import zlib

from handler import DESCRIPTION, repeat
from pop_handler import run_in_memory

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "handler.py")


class InMemory(unittest.TestCase):
    def test_text_is_repeated_with_progress(self):
        run = run_in_memory(repeat, {"text": "la", "times": 2})
        self.assertEqual(run.result, {"text": "la la", "times": 2})
        self.assertEqual([progress["percentComplete"] for progress in run.progress], [50.0, 100.0, 100.0])
        self.assertEqual(run.log, ["1 of 2", "2 of 2"])

    def test_progress_of_an_earlier_attempt_is_continued(self):
        run = run_in_memory(repeat, {"text": "la", "times": 3}, prior={"params": {"done": 2}})
        self.assertEqual(run.log, ["3 of 3"])
        self.assertEqual(run.result["text"], "la la la")

    def test_wrong_payload_fails_with_a_code(self):
        for payload in [None, {}, {"text": "la"}, {"text": "la", "times": 0}, {"text": "la", "times": 1, "time": 2}]:
            run = run_in_memory(repeat, payload)
            self.assertFalse(run.is_succeeded)
            self.assertEqual(run.codes, ["payload"], payload)

    def test_exception_is_reported_with_its_traceback(self):
        run = run_in_memory(lambda payload, context: 1 / 0, {})
        [event] = run.progress[-1]["diagnosticEvents"]
        self.assertEqual(event["message"], "ZeroDivisionError: division by zero")
        self.assertIn("test_handler.py", event["stackTrace"])


class AsProgram(unittest.TestCase):
    def run_program(self, *arguments, **environment):
        command = [sys.executable, PROGRAM, *arguments]
        environment = {"PATH": os.environ.get("PATH", ""), **environment}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    def test_payload_is_read_in_each_form(self):
        payload = json.dumps({"text": "la", "times": 2})
        packed = base64.b64encode(zlib.compress(payload.encode())).decode()
        file = os.path.join(os.path.dirname(PROGRAM), "payload.json")
        for arguments, environment in [
            ([], {"PAYLOAD": payload}),
            ([], {"POP_PAYLOAD_TYPE": "file", "POP_PAYLOAD_FILE": file}),
            (
                [],
                {
                    "POP_PAYLOAD_TYPE": "compressedEnvVar",
                    "POP_COMPRESSED_PAYLOAD_0": packed[:10],
                    "POP_COMPRESSED_PAYLOAD_1": packed[10:],
                },
            ),
            (["-payloadFile", file, "--LAUNCH-TYPE=Local"], {}),
        ]:
            ended = self.run_program(*arguments, **environment)
            self.assertEqual(ended.returncode, 0, ended.stderr)
            self.assertIn("pop.report.payload ", ended.stdout)
            self.assertIn('"processingStateMessage": "succeeded"', ended.stdout)

    def test_bad_launch_data_ends_with_exit_status_2(self):
        for arguments, environment in [
            ([], {}),
            (["--payloadFile", "none.json"], {}),
            (["--payloadFile"], {}),
            (["--payload"], {"PAYLOAD": "{}"}),
            (["--propFile", "none.properties"], {"PAYLOAD": "{}"}),
            (["--launchType", "moon"], {"PAYLOAD": "{}"}),
            ([], {"PAYLOAD": "{}", "POP_EXTERNAL_LAUNCH_TYPE": "moon"}),
            ([], {"POP_PAYLOAD_TYPE": "compressedEnvVar", "POP_COMPRESSED_PAYLOAD_0": "eJw="}),
        ]:
            ended = self.run_program(*arguments, **environment)
            self.assertEqual(ended.returncode, 2, ended.stdout)
            self.assertIn("error: ", ended.stderr)

    def test_sigterm_cancels_the_work(self):
        payload = json.dumps({"text": "la", "times": 100, "pauseSeconds": 1})
        environment = {**os.environ, "PAYLOAD": payload, "LAST_PROGRESS": '{"params": {"done": 1}}'}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        with subprocess.Popen([sys.executable, PROGRAM], env=environment, **pipes) as program:
            program.stdout.readline()
            program.send_signal(signal.SIGTERM)
            output, _ = program.communicate(timeout=60)
        self.assertEqual(program.returncode, 1)
        self.assertIn('"statusCode": "cancelled"', output.splitlines()[-1])

    def test_describe_prints_the_description(self):
        self.assertEqual(json.loads(self.run_program("--describe").stdout), DESCRIPTION)


class Warm(unittest.TestCase):
    def setUp(self):
        self.channel, theirs = socket.socketpair()
        self.stream = self.channel.makefile("rb")
        environment = {"PATH": os.environ.get("PATH", ""), "POP_WARM_SOCKET": str(theirs.fileno())}
        command = [sys.executable, PROGRAM]
        self.program = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()])
        theirs.close()

    def tearDown(self):
        self.channel.close()
        self.stream.close()
        self.program.wait(60)

    def frame(self):
        kind, number, length = self.stream.readline().split()
        return kind, int(number), self.stream.read(int(length))

    def send(self, kind, number, body=b""):
        self.channel.sendall(b"%s %d %d\n%s" % (kind, number, len(body), body))

    def operation(self, number, payload, variables=""):
        """Returns result, log and exit status."""
        self.send(b"handle", number, f"{variables}\n{json.dumps(payload)}".encode())
        reports, log = {}, b""
        while True:
            kind, of, body = self.frame()
            self.assertEqual(of, number)
            if kind == b"end":
                return reports.get(b"pop.report.payload"), log.decode(), int(body)
            if kind == b"log":
                log += body
            else:
                name, _, value = body.partition(b" ")
                reports[name] = json.loads(value)

    def test_operations_are_served_one_after_another(self):
        kind, _, hello = self.frame()
        self.assertEqual((kind, json.loads(hello)["version"]), (b"hello", 1))
        prior = 'LAST_PROGRESS={"params":{"done":1}}\nOPERATION_NAME=a\\nb\n'
        for number, payload, variables, result, log, status in [
            (1, {"text": "la", "times": 2}, "", {"text": "la la", "times": 2}, "1 of 2\n2 of 2\n", 0),
            (2, {}, "", None, "", 1),
            (3, {"text": "la", "times": 2}, prior, {"text": "la la", "times": 2}, "2 of 2\n", 0),
            (4, {"text": "la", "times": 1}, "", {"text": "la", "times": 1}, "1 of 1\n", 0),
        ]:
            self.assertEqual(self.operation(number, payload, variables), (result, log, status), number)
        self.send(b"bye", 0)
        self.assertEqual(self.program.wait(60), 0)

    def test_sigterm_fails_the_operation_and_ends_the_program(self):
        self.frame()
        self.send(b"handle", 7, b'\n{"text": "la", "times": 2, "pauseSeconds": 0}')
        while self.frame()[0] != b"end":
            pass
        self.send(b"handle", 8, b'\n{"text": "la", "times": 900, "pauseSeconds": 1}')
        self.frame()
        self.program.send_signal(signal.SIGTERM)
        frames = [self.frame()]
        while frames[-1][0] != b"end":
            frames.append(self.frame())
        self.assertEqual(frames[-1], (b"end", 8, b"1"))
        self.assertIn(b"cancelled", b"".join(body for _, _, body in frames))
        self.assertEqual(self.program.wait(60), 0)


class WarmInContainer(unittest.TestCase):
    def test_the_socket_of_a_path_is_connected_to(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
            path = os.path.join(folder, "socket")
            listener.bind(path)
            listener.listen()
            environment = {"PATH": os.environ.get("PATH", ""), "POP_WARM_SOCKET": path}
            with subprocess.Popen([sys.executable, PROGRAM], env=environment) as program:
                channel, _ = listener.accept()
                with channel, channel.makefile("rb") as stream:
                    kind, _, length = stream.readline().split()
                    self.assertEqual((kind, json.loads(stream.read(int(length)))["version"]), (b"hello", 1))
                self.assertEqual(program.wait(60), 0)


if __name__ == "__main__":
    unittest.main()
