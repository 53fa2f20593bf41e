#!/usr/bin/env python3
"""Operator `{{name}}`: a {{kind}} has a ConfigMap with its text and a Deployment that serves it."""

import sys

from pop_handler import run_handler

DESCRIPTION = {"name": "{{name}}", "version": "0.1.0", "about": "the desired state of a {{kind}}"}


def handle(request, context):
    """Returns status and children for what the cluster has. Equal requests need equal answers."""
    parent = request["parent"]
    if request["event"] == "finalize":
        return {"finalized": True}
    spec, name = parent["spec"], parent["metadata"]["name"]
    metadata = {"name": name, "namespace": parent["metadata"]["namespace"]}
    labels = {"example.com/{{name}}": name}
    page = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"index.html": spec["text"]}}
    volume = {"name": "page", "configMap": {"name": name}}
    server = {
        "name": "server",
        "image": "busybox:1",
        "command": ["httpd", "-f", "-h", "/page"],
        "volumeMounts": [{"name": "page", "mountPath": "/page"}],
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [server], "volumes": [volume]}}
    replicas = spec.get("replicas", 1)
    deployment_spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": deployment_spec}
    seen = next((child for child in request["children"] if child["kind"] == "Deployment"), {})
    ready = seen.get("status", {}).get("readyReplicas", 0)
    status = {"ready": ready, "phase": "Ready" if ready >= replicas else "Pending"}
    return {"status": status, "children": [page, deployment]}


if __name__ == "__main__":
    sys.exit(run_handler(handle, DESCRIPTION))
