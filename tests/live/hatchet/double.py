"""An engine that is none: what a worker of ours asks for, answered by a gRPC server that can do what no real engine does on demand.

It gives out tasks and counts their ends; it takes a token until the time that stands in it; it gives up a connection after a while
(GOAWAY), with or without cutting what runs on it, and ends a stream in good order."""
import base64
import collections
import json
import queue
import threading
import time
import uuid
from concurrent import futures

import grpc
from hatchet_sdk.contracts import dispatcher_pb2 as dispatcher
from hatchet_sdk.contracts import dispatcher_pb2_grpc
from hatchet_sdk.contracts import events_pb2 as events
from hatchet_sdk.contracts import events_pb2_grpc
from hatchet_sdk.contracts import workflows_pb2 as v0_workflows
from hatchet_sdk.contracts import workflows_pb2_grpc as v0_workflows_pb2_grpc
from hatchet_sdk.contracts.v1 import workflows_pb2 as workflows
from hatchet_sdk.contracts.v1 import workflows_pb2_grpc


def part(claims):
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


def token(seconds):
    """One that is good for so long."""
    return f'{part({"alg": "none"})}.{part({"exp": int(time.time() + seconds), "sub": str(uuid.uuid4())})}.signature'


class Auth(grpc.ServerInterceptor):
    """As an engine looks at it: at each call, and never again while a stream runs."""

    def __init__(self):
        self.refused = collections.Counter()
        self.revoked = set()

        def abort(_, context):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "invalid auth token")
        self.abort = grpc.unary_unary_rpc_method_handler(abort)

    def intercept_service(self, continuation, details):
        bearer = dict(details.invocation_metadata).get("authorization", "").removeprefix("bearer ")
        claims = json.loads(base64.urlsafe_b64decode(bearer.split(".")[1] + "==")) if bearer.count(".") == 2 else {"exp": 0}
        if bearer not in self.revoked and claims["exp"] > time.time():
            return continuation(details)
        self.refused[details.method] += 1
        return self.abort


class Dispatcher(dispatcher_pb2_grpc.DispatcherServicer):
    def __init__(self):
        self.waiting = queue.Queue()        # tasks that nobody has
        self.given = collections.Counter()
        self.ends = collections.Counter()
        self.streams = self.open = 0
        self.active = False                 # as an engine has it in its database: since a stream began, until the last one ended
        self.misses = 0                     # so many ends of streams are missed
        self.refused = self.beats = 0       # heartbeats; that were taken once one had been refused
        self.left = False                   # it has unsubscribed: its streams are silent
        self.old_slots = []                 # what is assigned just after the worker has become inactive
        self.over = threading.Event()       # streams end now, in good order
        self.lock = threading.Lock()
        self.peers = set()                  # connections that a call came on

    def Register(self, request, context):
        return dispatcher.WorkerRegisterResponse(tenant_id=str(uuid.uuid4()), worker_id=str(uuid.uuid4()), worker_name="double")

    def GetVersion(self, request, context):
        return dispatcher.GetVersionResponse(version="v0.99.1")

    def Heartbeat(self, request, context):
        self.peers.add(context.peer())
        with self.lock:
            self.beats += self.active and self.refused > 0
            self.refused += not self.active
            active = self.active
        if not active:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "worker stream is not active")
        return dispatcher.HeartbeatResponse()

    def Unsubscribe(self, request, context):
        self.left = True
        return dispatcher.WorkerUnsubscribeResponse()

    def ListenV2(self, request, context):
        with self.lock:
            self.streams += 1
            self.open += 1
            self.active = True
            this = self.streams
        try:
            while context.is_active() and not self.over.is_set():
                if self.left:
                    time.sleep(0.02)
                    continue
                try:
                    run, name, message = self.waiting.get(timeout=0.02)
                except queue.Empty:
                    continue
                self.given[run] += 1
                yield dispatcher.AssignedAction(
                    workflow_run_id=run, task_run_external_id=run, action_id=f"{name}:{name}", task_name=name, retry_count=0,
                    action_type=dispatcher.START_STEP_RUN, action_payload=json.dumps({"input": message}))
        finally:
            with self.lock:
                self.open -= 1
                if this == self.streams and self.misses == 0:
                    self.active = False
                    while self.open > 0 and self.old_slots:
                        self.waiting.put(self.old_slots.pop())
                elif this == self.streams:
                    self.misses -= 1

    def SendStepActionEvent(self, request, context):
        if request.event_type == dispatcher.STEP_EVENT_TYPE_COMPLETED:
            self.ends[request.task_run_external_id] += 1
        return dispatcher.ActionEventResponse()

    def SendBatchActionEvent(self, request, context):
        self.peers.add(context.peer())
        for item in request.items:
            if request.event_type == dispatcher.STEP_EVENT_TYPE_COMPLETED:
                self.ends[item.task_run_external_id] += 1
        return dispatcher.ActionEventResponse()


class Workflows(v0_workflows_pb2_grpc.WorkflowServiceServicer):
    """Runs that nobody does."""

    def __init__(self):
        self.triggered = []     # names
        self.peers = set()      # connections that they came on

    def TriggerWorkflow(self, request, context):
        self.triggered.append(request.name)
        self.peers.add(context.peer())
        return v0_workflows.TriggerWorkflowResponse(workflow_run_id=str(uuid.uuid4()))


class Admin(workflows_pb2_grpc.AdminServiceServicer):
    def PutWorkflow(self, request, context):
        return workflows.CreateWorkflowVersionResponse(id=str(uuid.uuid4()), workflow_id=str(uuid.uuid4()))


class Events(events_pb2_grpc.EventsServiceServicer):
    """What runs say while they run."""

    def __init__(self):
        self.chunks = collections.defaultdict(list)     # of each run, as they came: (number, text)
        self.answers = threading.Event()                # while it is not set, none is answered
        self.answers.set()

    def PutStreamEvent(self, request, context):
        self.chunks[request.task_run_external_id].append((request.event_index, request.message.decode()))
        self.answers.wait()
        return events.PutStreamEventResponse()


class Double:
    """options: those of grpcio's server, without "grpc."."""

    def __init__(self, **options):
        self.auth, self.dispatcher, self.events, self.workflows = Auth(), Dispatcher(), Events(), Workflows()
        self.server = grpc.server(futures.ThreadPoolExecutor(32), interceptors=[self.auth],
                                  options=[(f"grpc.{name}", value) for name, value in options.items()])
        dispatcher_pb2_grpc.add_DispatcherServicer_to_server(self.dispatcher, self.server)
        workflows_pb2_grpc.add_AdminServiceServicer_to_server(Admin(), self.server)
        v0_workflows_pb2_grpc.add_WorkflowServiceServicer_to_server(self.workflows, self.server)
        events_pb2_grpc.add_EventsServiceServicer_to_server(self.events, self.server)
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def make(self, name, count=1, **message):
        return [(str(uuid.uuid4()), name, message or {"n": 1}) for _ in range(count)]

    def give(self, name, count=1, **message):
        """Tasks for whoever listens; their ids."""
        tasks = self.make(name, count, **message)
        for task in tasks:
            self.dispatcher.waiting.put(task)
        return [task[0] for task in tasks]

    def __enter__(self):
        return self

    def leave(self):
        """Ends, and with it all that runs on it."""
        self.dispatcher.over.set()
        self.events.answers.set()
        self.server.stop(None).wait()

    def __exit__(self, *_):
        self.leave()
