"""What schemathesis needs to know beyond the OpenAPI document: test/e2e/openapi.test.ts runs it with these hooks."""

import io
import json
import os
import re
import zipfile

import schemathesis
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import positive_data_acceptance, use_after_free

REPORT = os.environ["EVENFALL_OPENAPI_REPORT"]


def package() -> bytes:
    """A code package that runs whatever the runtime is: every file that a handler of an example may be looked for in."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as files:
        files.writestr("index.py", "def main_handler(event, context):\n    return event\n")
        files.writestr("index.js", "exports.main_handler = async (event) => event\n")
        for program in ("bootstrap", "scf_bootstrap", "main"):
            entry = zipfile.ZipInfo(program)
            entry.external_attr = 0o755 << 16
            files.writestr(entry, "#!/bin/sh\nexec sleep 60\n")
    return packed.getvalue()


schemathesis.openapi.media_type("application/zip", st.just(package()))

NO_CODE = ("FUNCTION_HAS_NO_CODE", r"", "whether a function has code is a matter of its state, as is whether it exists")
TOKEN = ("INVALID_PAGE_TOKEN", r"", "a page token is made by the server, for one query")
ENDED = ("EVENT_ENDED", r"", "whether an event has ended is a matter of its state, as is whether it exists")
BOUNDS = "the bounds of a duration: a pattern has no words for them, as there are four units"
RUNTIME = "what a handler and a hook look like depends on the runtime, which a patch need not name"
SETTINGS = [
    ("INVALID_FIELD", r"timeout|init_timeout|(initializer|pre_stop)\.timeout", BOUNDS),
    ("INVALID_FIELD", r"event_invoke\.(retry_interval|max_event_age)", BOUNDS),
    ("INVALID_FIELD", r"termination(_by_cause\.(timeout|drain|update))?\.((max_)?grace_period|exit_grace|escalation\[\d\]\.wait)", BOUNDS),
    ("INVALID_FIELD", r"handler|(initializer|pre_stop)(\.handler)?|port", RUNTIME),
    ("INVALID_FIELD", r"environment|annotations", "bytes of names and values together"),
    ("INVALID_FIELD", r"termination_by_cause\.timeout\.escalation", "none with a timeout, where the policies of drain and update have some"),
    ("INVALID_FIELD", r"event_invoke\.on_(success|failure)\..*", "what an operator allows: Kafka, plain HTTP; and what a URL may be"),
]

# Refusals of requests that the document allows: what JSON Schema has no words for. By operation: the reason, the field where there is one, and why.
UNSAYABLE = {
    "batchCreateEvents": [NO_CODE, ("INVALID_FIELD", r"(submission\.)?delay", "a delay is shorter than the function's maximum event age")],
    "createAccessKey": [
        ("INVALID_FIELD", r"time_to_live", BOUNDS),
        ("INVALID_FIELD", r"show_payloads", "it is for one role"),
        ("INVALID_FIELD", r"namespaces", "\"*\" is used alone"),
    ],
    "createAgentToken": [("JOINING_OFF", r"", "whether the registry has an authority"), ("INVALID_FIELD", r"time_to_live", BOUNDS)],
    "createEvent": [NO_CODE, ("INVALID_FIELD", r"(submission\.)?delay", "a delay is shorter than the function's maximum event age")],
    "createFunction": [*SETTINGS, ("INVALID_FIELD", r"code_zip", "a zip file"), ("INVALID_CODE_PACKAGE", r"", "a zip file with the handler in it")],
    "drainAgent": [("INVALID_FIELD", r"deadline", BOUNDS)],
    "invokeFunction": [NO_CODE, ("INVALID_FIELD", r"queue_timeout", BOUNDS)],
    "listAccessKeys": [TOKEN],
    "listAgentTokens": [TOKEN],
    "listAgents": [TOKEN],
    "listAuditRecords": [TOKEN],
    "listDeadLetters": [TOKEN],
    "listInstances": [TOKEN],
    "listPutAsideRecords": [TOKEN],
    "listEvents": [TOKEN],
    "listFunctions": [TOKEN],
    "listFunctionVersions": [TOKEN],
    "listKeyQuotas": [TOKEN],
    "listLogLines": [TOKEN],
    "listNamespaceQuotas": [TOKEN],
    "publishFunctionVersion": [NO_CODE],
    "putEventInvokeConfig": SETTINGS,
    "putProvisionedConcurrency": [("PROVISIONED_EXCEEDS_TOTAL", r"", "what is left of the memory of all functions")],
    "putReservedConcurrency": [
        ("PROVISIONED_EXCEEDS_RESERVED", r"", "what is provisioned for the function"),
        ("RESERVED_EXCEEDS_TOTAL", r"", "what is left of the memory of all functions"),
        ("INVALID_FIELD", r"memory_mb", "0, or the memory of one instance of this function at least"),
    ],
    "redriveDeadLetter": [NO_CODE],
    "rotateAccessKey": [("INVALID_FIELD", r"overlap", BOUNDS), ("ACCESS_KEY_REVOKED", r"", "whether a key was revoked is a matter of its state")],
    "terminateEvent": [ENDED, ("INVALID_FIELD", r"grace_period|exit_grace|escalation\[\d\]\.wait", BOUNDS)],
    "updateFunction": SETTINGS,
}


def refusals_of(response) -> list[tuple[str, str, str]]:
    try:
        details = response.json()["error"]["details"]
    except (ValueError, KeyError, TypeError):
        return []
    return [(one["reason"], one["metadata"].get("field", ""), one["metadata"].get("rule", "")) for one in details]


def is_unsayable(operation: str, refusals: list[tuple[str, str, str]]) -> bool:
    known = UNSAYABLE.get(operation, [])
    return len(refusals) > 0 and all(any(r == reason and re.fullmatch(f, field) for r, f, _ in known) for reason, field, _ in refusals)


@schemathesis.check
def valid_data_is_accepted(ctx, response, case):
    """positive_data_acceptance, but for the refusals above."""
    operation = case.operation.definition.raw["operationId"]
    is_positive = case.meta is not None and case.meta.generation.mode.is_positive
    refusals = refusals_of(response) if response.status_code == 400 else []
    with open(REPORT, "a", encoding="utf-8") as report:
        report.write(json.dumps([operation, is_positive, response.status_code, refusals]) + "\n")
    if is_positive and is_unsayable(operation, refusals):
        return None
    return positive_data_acceptance(ctx, response, case)


# What is deleted there is a limit, and that there is none is an answer.
LIMITS = {"getKeyQuota", "getNamespaceQuota", "getReservedConcurrency"}


@schemathesis.check
def what_is_deleted_is_gone(ctx, response, case):
    """use_after_free, but for limits."""
    if case.operation.definition.raw["operationId"] in LIMITS:
        return None
    return use_after_free(ctx, response, case)


# Ids of events that can be terminated, redriven and purged, each once: what random ids never are.
IDS = json.loads(os.environ["EVENFALL_OPENAPI_IDS"])
DURATION = re.compile(r"\d{1,12}(\.\d{1,6})?(ms|s|m|h)")
# In bounds, whatever duration was generated: otherwise nearly every body with one would be refused for it, and nothing else of it be tried.
IN_BOUNDS = {"timeout": "60s", "init_timeout": "65s", "retry_interval": "60s", "max_event_age": "6h"}


def in_bounds(value):
    if isinstance(value, list):
        return [in_bounds(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: IN_BOUNDS[name] if name in IN_BOUNDS and isinstance(one, str) and DURATION.fullmatch(one) else in_bounds(one)
        for name, one in value.items()
    }


@schemathesis.hook
def before_call(ctx, case, kwargs):
    operation = case.operation.definition.raw["operationId"]
    is_positive = case.meta is not None and case.meta.generation.mode.is_positive
    if operation == "drainAgent":
        # There is no way back from DRAINING but a restart: the stateful phase finds the one agent there is, and nothing would run any more.
        case.path_parameters["agent_id"] = "gone-" + str(case.path_parameters["agent_id"])
    elif operation == "deleteFunction" and case.path_parameters.get("function") == "default":
        case.path_parameters["function"] = "deleted"  # the other operations need the one that is called as the examples are
    elif operation == "rotateAccessKey" and is_positive:
        case.path_parameters["key_id"] = "turning"  # the others are revoked sooner or later
    elif operation == "putNamespaceQuota" and is_positive:
        case.path_parameters["namespace"] = "limited"  # in the others everything would be refused for it
    elif operation == "putKeyQuota" and is_positive:
        case.path_parameters["key_id"] = "limited"  # the default is that of the key that all calls are made with
    elif operation in IDS and is_positive and IDS[operation]:
        case.path_parameters["event_id"] = IDS[operation].pop()
    elif operation == "putProvisionedConcurrency" and isinstance(case.body, dict) and type(case.body.get("instances")) is int:
        case.body["instances"] = min(case.body["instances"], 2)  # each is a process that starts
    elif operation == "updateFunction" and is_positive and isinstance(case.body, dict):
        # Of the function there is: another runtime has other handlers, and a port or none.
        case.body = {name: one for name, one in in_bounds(case.body).items() if name not in ("runtime", "port", "handler")}
    elif operation in ("createFunction", "updateFunction", "putEventInvokeConfig"):
        case.body = in_bounds(case.body)
