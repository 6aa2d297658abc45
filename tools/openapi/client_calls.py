"""Calls every operation with the client that openapi-python-client makes of the document, and reads every answer with it.

Usage: EVENFALL_ACCESS_KEY=id:secret client_calls.py URL. test/e2e/openapi-client.test.ts runs it against a platform; the client, evenfall_client, is on the path. Every answer has to be
what the document says: all that is required is there, of its type and of its words, and nothing is there that the document does not know.
"""

import importlib
import io
import json
import os
import pkgutil
import sys
import time
import zipfile

import attrs
import evenfall_client.api as api
from evenfall_client import Client
from evenfall_client.types import File

client = Client(base_url=sys.argv[1], raise_on_unexpected_status=True, timeout=60, headers={"Authorization": "Bearer " + os.environ["EVENFALL_ACCESS_KEY"]})
modules = {
    name.rsplit(".", 1)[1]: importlib.import_module(name)
    for _, name, is_package in pkgutil.walk_packages(api.__path__, "evenfall_client.api.")
    if not is_package
}
called: set[str] = set()


def undocumented(value, path=""):
    """Fields of an answer that no model has a field for."""
    if isinstance(value, list):
        return [found for n, one in enumerate(value) for found in undocumented(one, f"{path}[{n}]")]
    if not attrs.has(type(value)):
        return []
    names = [field.name for field in attrs.fields(type(value))]
    extra = getattr(value, "additional_properties", {})
    is_map = names == ["additional_properties"]
    found = [] if is_map else [f"{path}.{name}" for name in extra]
    return found + [one for name in names if name != "additional_properties" for one in undocumented(getattr(value, name), f"{path}.{name}")]


def call(operation, *args, status, **more):
    called.add(operation)
    answer = modules[operation].sync_detailed(*args, client=client, **more)
    assert answer.status_code == status, (operation, answer.status_code, answer.content[:500])
    if status != 204 and operation != "watch_event":
        assert answer.parsed is not None, (operation, answer.content[:500])
        assert undocumented(answer.parsed) == [], (operation, undocumented(answer.parsed))
    return answer.parsed


def body_of(operation, value):
    """The body of an operation, as its generated model."""
    annotation = modules[operation].sync_detailed.__annotations__["body"]
    kind = next(one for one in getattr(annotation, "__args__", (annotation,)) if hasattr(one, "from_dict"))
    return kind.from_dict(value)


def until(look, within=30):
    deadline = time.monotonic() + within
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


def package(code):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as files:
        files.writestr("index.py", code)
    return packed.getvalue()


CODE = package(
    """
import signal, time
def handler(event, context):
    if event == "fail":
        raise ValueError("no")
    if event == "wait":
        stopped = []
        signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
        print("waiting", flush=True)
        while not stopped:
            time.sleep(0.02)
        return "stopped"
    print("hello")
    return event
"""
)
NS, FN = "default", "generated"
EVERYTHING = {
    "name": FN,
    "runtime": "python3",
    "handler": "index.handler",
    "timeout": "60s",
    "memory_mb": 128,
    "description": "x",
    "environment": {"A": "b"},
    "annotations": {"team/x": "y"},
    "init_timeout": "30s",
    "termination": {"kill_signal": "SIGTERM", "grace_period": "5s", "escalation": [{"signal": "SIGINT", "wait": "1s"}], "signal_scope": "MAIN"},
    "termination_by_cause": {"drain": {"grace_period": "1s"}, "update": {"grace_period": "1s"}, "timeout": {"grace_period": "1s"}},
    "event_invoke": {"max_retries": 0, "on_success": {"function": "notified"}, "on_failure": {"webhook": {"url": "https://127.0.0.1:1/x", "secret": "s" * 16}}},
}


def state(event_id):
    return call("get_event", event_id, status=200).state


def ended(event_id, wanted):
    until(lambda: state(event_id) == wanted)


# functions
call("create_function", NS, body=body_of("create_function", {"name": "notified", "runtime": "python3", "handler": "index.handler"}), status=201)
call("create_function", NS, body=body_of("create_function", EVERYTHING), status=201)
for name in ("notified", FN):
    call("update_function_code", NS, name, body=File(payload=io.BytesIO(CODE)), status=200)
call("get_function", NS, FN, status=200)
call("update_function", NS, FN, body=body_of("update_function", {"description": "z"}), status=200)
version = call("publish_function_version", NS, FN, body=body_of("publish_function_version", {"description": "first"}), status=201).version
assert call("list_functions", NS, status=200, page_size=1).next_page_token != ""
call("list_function_versions", NS, FN, status=200)
call("put_event_invoke_config", NS, FN, body=body_of("put_event_invoke_config", EVERYTHING["event_invoke"]), status=200)
call("get_event_invoke_config", NS, FN, status=200)
call("put_reserved_concurrency", NS, FN, body=body_of("put_reserved_concurrency", {"memory_mb": 1024}), status=200)
call("get_reserved_concurrency", NS, FN, status=200)
call("put_provisioned_concurrency", NS, FN, qualifier=version, body=body_of("put_provisioned_concurrency", {"instances": 1}), status=200)
call("get_provisioned_concurrency", NS, FN, status=200)

# events in every way they end
good = call("create_event", NS, FN, body={"n": 1}, idempotency_key="k", status=202).id
ended(good, "SUCCEEDED")
until(lambda: call("get_event", good, status=200).deliveries)
failed = call("create_event", NS, FN, body="fail", status=202).id
ended(failed, "FAILED")
call("list_dead_letters", NS, FN, status=200)
call("get_dead_letter", failed, status=200)
again = call("redrive_dead_letter", failed, status=202).id
assert call("get_event", failed, status=200).redriven_to == again
ended(again, "FAILED")
call("purge_dead_letter", again, status=204)
batch = call("batch_create_events", NS, FN, body=body_of("batch_create_events", {"events": [{"payload": "wait"}, {"payload": 1, "delay": "1h"}]}), status=202)
waiting, delayed = [one.id for one in batch.events]
until(lambda: state(waiting) == "RUNNING")
call("list_instances", status=200)
until(lambda: any(line.text == "waiting" for line in call("list_log_lines", waiting, status=200).lines))
stop = {"graceful": True, "grace_period": "5s", "wait": "ENDED", "reason": "r"}
stopped = call("terminate_event", waiting, body=body_of("terminate_event", stop), status=200)
assert stopped.state == "TERMINATED" and stopped.termination.steps, stopped
call("terminate_event", delayed, status=200)
call("watch_event", good, status=200)
events = call("list_events", NS, FN, status=200, show_total_size=True)
assert events.total_size >= 5, events
call("count_events", NS, status=200)
call("count_function_events", NS, FN, status=200)
call("invoke_function", NS, FN, body={"a": 1.5}, status=200)
call("invoke_function", NS, FN, body="fail", status=200)
for one in (good, failed, waiting):
    assert call("list_log_lines", one, status=200).lines

# refusals are what the document says too
for operation, args, status in (
    ("get_event", ["x"], 404),
    ("get_function", [NS, "nowhere"], 404),
    ("get_dead_letter", [failed], 404),
    ("list_functions", ["!"], 400),
    ("create_event", [NS, "nowhere"], 404),
    ("terminate_event", [good], 400),
):
    call(operation, *args, status=status, **({"body": 1} if operation == "create_event" else {}))

# access keys and the audit log
wanted = {"id": "generated", "role": "VIEWER", "namespaces": [NS], "show_payloads": True, "time_to_live": "1h", "scf": True, "description": "d"}
made = call("create_access_key", body=body_of("create_access_key", wanted), status=201)
assert made.secret and made.access_key.id == "generated", made
assert call("rotate_access_key", "generated", body=body_of("rotate_access_key", {"overlap": "1h"}), status=200).secret != made.secret
call("rotate_access_key", "generated", status=200)
assert call("get_access_key", "generated", status=200).role == "VIEWER"
call("revoke_access_key", "generated", status=200)
assert any(key.id == "generated" for key in call("list_access_keys", status=200).access_keys)

# quotas
limits = {"events_per_second": 1000, "burst": 2000, "queued_events": 1000, "functions": 100, "versions": 100, "code_bytes": 2**40, "instances": 50}
assert call("put_namespace_quota", NS, body=body_of("put_namespace_quota", limits), status=200).code_bytes == 2**40
quota = call("get_namespace_quota", NS, status=200)
assert quota.functions == 100 and quota.usage.functions >= 1 and not quota.is_default, quota
assert [one.namespace for one in call("list_namespace_quotas", status=200).namespace_quotas] == [NS]
call("delete_namespace_quota", NS, status=204)
assert call("put_key_quota", "generated", body=body_of("put_key_quota", {"events_per_second": 5}), status=200).burst is None
assert call("get_key_quota", "generated", status=200).events_per_second == 5
assert call("list_key_quotas", status=200).key_quotas[0].key_id == "generated"
call("delete_key_quota", "generated", status=204)
assert call("list_audit_records", status=200, subject="generated").audit_records[0].outcome == "OK"

# tokens by which agents join: none are made without an authority that issues certificates
call("create_agent_token", body=body_of("create_agent_token", {"time_to_live": "1h"}), status=400)
assert call("list_agent_tokens", status=200).agent_tokens == []
call("revoke_agent_token", "01900000-0000-7000-8000-000000000000", status=404)

# operators, and the end of it all
call("purge", body=body_of("purge", {"dry_run": True}), status=200)
call("purge", body=body_of("purge", {"dry_run": True, "time": "2030-01-01T00:00:00Z"}), status=200)
call("list_put_aside_records", status=200)
[agent] = call("list_agents", status=200).agents
call("delete_provisioned_concurrency", NS, FN, qualifier=version, status=204)
call("delete_reserved_concurrency", NS, FN, status=204)
call("drain_agent", agent.id, body=body_of("drain_agent", {"deadline": "1s"}), status=200)
assert call("list_agents", status=200).agents[0].state == "DRAINING"
call("delete_function", NS, FN, status=204)

assert called == set(modules), sorted(set(modules) - called)
print(json.dumps(sorted(called)))
