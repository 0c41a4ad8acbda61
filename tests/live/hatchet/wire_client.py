"""The engine's calls, each by itself: for tests of what the engine does, not of an SDK that hides it.

Stubs and messages are those of Python's SDK; what is sent in them is up to the test."""
import json
import queue
import threading
import time

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from hatchet_sdk.contracts import dispatcher_pb2 as dispatcher
from hatchet_sdk.contracts import dispatcher_pb2_grpc, events_pb2_grpc, workflows_pb2_grpc
from hatchet_sdk.contracts.v1 import dispatcher_pb2_grpc as v1_dispatcher_pb2_grpc
from hatchet_sdk.contracts.v1 import workflows_pb2 as workflows
from hatchet_sdk.contracts.v1 import workflows_pb2_grpc as v1_workflows_pb2_grpc
from hatchet_sdk.contracts.v1.shared import trigger_pb2 as trigger

STARTED, COMPLETED, FAILED, CANCELLED = 1, 2, 3, 5
DONE = {"COMPLETED", "FAILED", "CANCELLED"}


def now():
    stamp = Timestamp()
    stamp.GetCurrentTime()
    return stamp


class Wire:
    """A connection with all services; each call has a deadline."""

    def __init__(self, engine, token=None):
        # A pool of its own: after a restart nobody waits out the backoff of an earlier channel to the same address.
        self.channel = grpc.insecure_channel(engine.grpc, options=(("grpc.use_local_subchannel_pool", 1),))
        self.metadata = (("authorization", f"bearer {token or engine.token}"),)
        self.services = [make(self.channel) for make in (
            dispatcher_pb2_grpc.DispatcherStub, v1_workflows_pb2_grpc.AdminServiceStub, workflows_pb2_grpc.WorkflowServiceStub,
            events_pb2_grpc.EventsServiceStub, v1_dispatcher_pb2_grpc.V1DispatcherStub)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def call(self, name, request, timeout=20):
        method = next(getattr(service, name) for service in self.services if hasattr(service, name))
        return method(request, metadata=self.metadata, timeout=timeout)

    def refused(self, name, request):
        """(status, text) of a call that must fail."""
        try:
            answer = self.call(name, request)
        except grpc.RpcError as error:
            return error.code().name, error.details()
        raise AssertionError(f"{name} was accepted: {answer}")

    def put(self, name, tasks=("",), **task):
        """A workflow whose tasks are called like it, with a suffix each; `task` are fields of them all."""
        return self.call("PutWorkflow", workflows.CreateWorkflowVersionRequest(name=name, tasks=[
            workflows.CreateTaskOpts(**{"readable_id": name + suffix, "action": f"{name}:{name}{suffix}", "timeout": "60s", "inputs": "{}",
                                        "slot_requests": {"default": 1}} | task) for suffix in tasks]))

    def run(self, name, message=None, **more):
        """Trigger it; the run's id."""
        request = trigger.TriggerWorkflowRequest(name=name, input=json.dumps(message or {}), **more)
        return self.call("TriggerWorkflow", request).workflow_run_id

    def details(self, run):
        return self.call("GetRunDetails", workflows.GetRunDetailsRequest(external_id=run))

    def state(self, run):
        """The run's status by name; None: not there yet."""
        try:
            return workflows.RunStatus.Name(self.details(run).status)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.NOT_FOUND, error
            return None

    def ended(self, run, seconds=75):
        """Wait for the run's end: its status, and its only task's details."""
        end = time.monotonic() + seconds
        while (state := self.state(run)) not in DONE:
            assert time.monotonic() < end, f"run {run} is {state}"
            time.sleep(0.05)
        return state, next(iter(self.details(run).task_runs.values()), None)


class WireWorker:
    """Registered, listening and with a beating heart; what to answer is up to the test."""

    def __init__(self, wire, name, actions, slots=100, listen=True):
        self.wire, self.actions = wire, queue.Queue()
        self.id = wire.call("Register", dispatcher.WorkerRegisterRequest(
            worker_name=name, actions=actions, services=["default"], slot_config={"default": slots})).worker_id
        self.stream, self.end = None, queue.Queue()
        self.stopped = threading.Event()
        if listen:
            self.listen()
            self.heart = threading.Thread(target=self.beat, daemon=True)
            self.heart.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopped.set()
        if self.stream is not None:
            self.stream.cancel()

    def listen(self):
        self.stream = self.wire.call("ListenV2", dispatcher.WorkerListenRequest(worker_id=self.id), timeout=None)
        threading.Thread(target=self.read, args=(self.stream,), daemon=True).start()

    def read(self, stream):
        try:
            for action in stream:
                self.actions.put(action)
            self.end.put("OK")
        except grpc.RpcError as error:
            self.end.put(error.code().name)

    def heartbeat(self):
        return dispatcher.HeartbeatRequest(worker_id=self.id, heartbeat_at=now())

    def beat(self):
        while not self.stopped.wait(2.5):
            try:
                self.wire.call("Heartbeat", self.heartbeat())
            except (grpc.RpcError, ValueError):     # the engine is gone, or the channel closed
                pass

    def next(self, seconds=30):
        return self.actions.get(timeout=seconds)

    def event(self, action, kind, payload="", **more):
        """A StepActionEvent; `more` adds to its fields or takes them (None) away."""
        fields = {"worker_id": self.id, "task_run_external_id": action.task_run_external_id, "action_id": action.action_id,
                  "event_timestamp": now(), "event_type": kind, "event_payload": payload, "retry_count": action.retry_count} | more
        return dispatcher.StepActionEvent(**{k: v for k, v in fields.items() if v is not None})

    def tell(self, action, kind, payload="", **more):
        return self.wire.call("SendStepActionEvent", self.event(action, kind, payload, **more))

    def batch(self, actions, kind, payloads):
        return dispatcher.BatchActionEvent(
            worker_id=self.id, job_id=actions[0].job_id, action_id=actions[0].action_id, event_timestamp=now(), event_type=kind,
            items=[dispatcher.BatchActionEventItem(task_run_external_id=a.task_run_external_id, event_payload=p,
                                                   retry_count=a.retry_count) for a, p in zip(actions, payloads)])
