"""Sends a span of its own below the span of its attempt, as a handler with tracing does. Argument: the collector's address."""

import os
import sys
import time
import urllib.request

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_, trace, parent, flags = os.environ["TRACEPARENT"].split("-")
assert flags == "01", flags

request = ExportTraceServiceRequest()
resource_spans = request.resource_spans.add()
service = resource_spans.resource.attributes.add()
service.key, service.value.string_value = "service.name", "handler"
span = resource_spans.scope_spans.add().spans.add()
span.trace_id, span.parent_span_id = bytes.fromhex(trace), bytes.fromhex(parent)
span.span_id = os.urandom(8)
span.name = "work of the handler"
span.start_time_unix_nano = span.end_time_unix_nano = time.time_ns()
answer = urllib.request.urlopen(
    urllib.request.Request(
        sys.argv[1] + "/v1/traces",
        data=request.SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
    )
)
assert answer.status == 200, answer.status
