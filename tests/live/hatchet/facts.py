"""What the bridge relies on, asked of the real engine: each test is a fact of the README's, so that another engine says what
has changed. Nothing of ours takes part."""
import json
import queue
import sys
import time

from fleet import own_engine, run_all, wait_for
from wire_client import CANCELLED, COMPLETED, FAILED, STARTED, Wire, WireWorker, dispatcher, grpc, trigger, workflows
from hatchet_sdk.contracts import workflows_pb2 as old_workflows

NOBODY = "00000000-0000-0000-0000-000000000001"
START, CANCEL = 0, 1


def status_of(call):
    """The call's status by name: "OK" or what it fails with."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


def nothing_comes(worker, seconds):
    try:
        raise AssertionError(f"this came: {worker.next(seconds)}")
    except queue.Empty:
        return True


def a_token_is_asked_for_at_every_call(engine):
    broken = engine.token[:-4] + ("AAAA" if not engine.token.endswith("AAAA") else "BBBB")
    for token in (broken, "x"):
        with Wire(engine, token) as wire:
            for name, request in (("GetVersion", dispatcher.GetVersionRequest()), ("PutWorkflow", workflows.CreateWorkflowVersionRequest()),
                                  ("Heartbeat", dispatcher.HeartbeatRequest(worker_id=NOBODY))):
                assert wire.refused(name, request) == ("UNAUTHENTICATED", "invalid auth token")
    with Wire(engine) as wire:
        assert wire.call("GetVersion", dispatcher.GetVersionRequest()).version == "v0.99.1"


def a_bad_definition_is_told_badly(engine):
    """Some say what is wrong, some are an internal error: so it is ours to say it."""
    with Wire(engine) as wire:
        assert status_of(lambda: wire.put("a b")) == "INVALID_ARGUMENT"
        assert status_of(lambda: wire.put("bad", timeout="5x")) == "INVALID_ARGUMENT"
        assert status_of(lambda: wire.put("bad", backoff_factor=0.5)) == "INVALID_ARGUMENT"
        assert status_of(lambda: wire.put("a:b")) == "INTERNAL"         # its action is "a:b:a:b"
        assert status_of(lambda: wire.put("")) == "INTERNAL"
        assert status_of(lambda: wire.put("bad", tasks=())) == "INTERNAL"
        assert wire.put("a.b_c-9") == wire.put("a.b_c-9")               # the same again changes nothing


def actions_are_lower_case(engine):
    with Wire(engine) as wire, WireWorker(wire, "upper", ["Upper:Upper"]) as worker:
        wire.put("Upper")
        run = wire.run("Upper")
        action = worker.next()
        assert (action.action_id, action.task_name) == ("upper:upper", "Upper")
        worker.tell(action, COMPLETED, "{}")
        assert wire.ended(run)[0] == "COMPLETED"
        # Of the part before the colon only the first letter is made lower-case, and another upper-case letter is not borne.
        assert status_of(lambda: wire.put("camelCase")) == "INTERNAL"
        wire.put("camelCase", action="camelcase:camelcase")


def slots_are_said_in_one_way(engine):
    with Wire(engine) as wire:
        both = dispatcher.WorkerRegisterRequest(worker_name="x", actions=["x:x"], slots=4, slot_config={"default": 1})
        assert wire.refused("Register", both)[0] == "INVALID_ARGUMENT"
        answer = wire.call("Register", dispatcher.WorkerRegisterRequest(worker_name="x", actions=["x:x"]))
        assert answer.worker_name == "x" and answer.tenant_id == engine.tenant and answer.worker_id


def a_heartbeat_tells_of_a_stream_that_is_gone(engine):
    with Wire(engine) as wire, WireWorker(wire, "deaf", ["deaf:deaf"], listen=False) as worker:
        assert status_of(lambda: wire.call("Heartbeat", worker.heartbeat())) == "OK"       # there never was one
        worker.listen()
        wait_for(lambda: status_of(lambda: wire.call("Heartbeat", worker.heartbeat())) == "OK", what="a heartbeat")
        wire.put("deaf")
        run = wire.run("deaf")
        worker.tell(worker.next(), COMPLETED, "{}")         # it listens
        assert wire.ended(run)[0] == "COMPLETED"

        def refused_after_an_end():
            """The engine misses about every other end of a stream (it compares nanoseconds with milliseconds)."""
            worker.stream.cancel()
            for _ in range(50):
                if status_of(lambda: wire.call("Heartbeat", worker.heartbeat())) == "FAILED_PRECONDITION":
                    return True
                time.sleep(0.02)
            worker.listen()
            return False
        wait_for(refused_after_an_end, what="the refusal")
        worker.listen()
        wait_for(lambda: status_of(lambda: wire.call("Heartbeat", worker.heartbeat())) == "OK", what="a heartbeat")
        run = wire.run("deaf")
        assert worker.next().task_run_external_id == run    # the same worker again
        worker.id = NOBODY
        assert status_of(lambda: wire.call("Heartbeat", worker.heartbeat())) == "NOT_FOUND"
        worker.id = "nonsense"
        assert status_of(lambda: wire.call("Heartbeat", worker.heartbeat())) == "INVALID_ARGUMENT"
        assert status_of(lambda: next(wire.call("ListenV2", dispatcher.WorkerListenRequest(worker_id=NOBODY)))) == "INTERNAL"


def what_an_action_carries(engine):
    with Wire(engine) as wire, WireWorker(wire, "carry", ["carry:carry"]) as worker:
        put = wire.put("carry")
        run = wire.run("carry", {"x": 1}, additional_metadata='{"mageflow": "abc"}', priority=3)
        action = worker.next()
        assert json.loads(action.action_payload) == {"input": {"x": 1}, "triggered_by": "manual", "parents": {}, "user_data": None,
                                                     "triggers": {"filter_payload": None}, "overrides": None}
        assert action.task_run_external_id == action.workflow_run_id == action.job_run_id == run     # a run of one task
        assert (action.action_type, action.retry_count, action.priority, action.task_name) == (START, 0, 3, "carry")
        assert (action.workflow_version_id, action.workflow_id) == (put.id, put.workflow_id)
        assert not action.HasField("durable_task_invocation_count") and not action.HasField("child_workflow_index")
        metadata = json.loads(action.additional_metadata)
        assert metadata.pop("traceparent") and metadata == {"mageflow": "abc"}
        worker.tell(action, COMPLETED, "{}")


def a_result_is_any_json(engine):
    with Wire(engine) as wire, WireWorker(wire, "any", ["any:any"]) as worker:
        wire.put("any")
        for payload, state, shown in (('{"y":2}', "COMPLETED", b'{"y":2}'), ("[1]", "COMPLETED", b"[1]"), ("5", "COMPLETED", b"5"),
                                      ('"s"', "COMPLETED", b'"s"'), ("null", "COMPLETED", b"null"), ("", "COMPLETED", b""),
                                      ("{bad", "FAILED", "invalid json"), ('{"a":"\\u0000"}', "FAILED", "invalid null character")):
            run = wire.run("any")
            worker.tell(worker.next(), COMPLETED, payload)
            got, task = wire.ended(run)
            assert got == state, (payload, got)
            assert task.output == shown if state == "COMPLETED" else shown in task.error, (payload, task)


def an_event_needs_three_fields(engine):
    with Wire(engine) as wire, WireWorker(wire, "three", ["three:three"]) as worker:
        wire.put("three")
        run = wire.run("three")
        action = worker.next()
        worker.tell(action, STARTED)
        worker.tell(action, COMPLETED, '{"of": "another attempt"}', retry_count=3)         # accepted, and nothing comes of it
        assert wire.refused("SendStepActionEvent", worker.event(action, CANCELLED))[0] == "INVALID_ARGUMENT"
        assert wire.state(run) == "RUNNING"
        worker.tell(action, COMPLETED, '{"n": 1}', worker_id=None, action_id=None, event_timestamp=None)
        assert wire.ended(run)[1].output == b'{"n": 1}'
        run = wire.run("three")
        worker.tell(worker.next(), COMPLETED, "{}", retry_count=None)
        assert wire.ended(run)[0] == "COMPLETED"


def the_last_word_about_an_attempt_counts(engine):
    """An event of an attempt that has ended is not refused and not ignored: a worker must say one thing once."""
    with Wire(engine) as wire, WireWorker(wire, "word", ["word:word"]) as worker:
        wire.put("word")
        run = wire.run("word")
        action = worker.next()
        worker.tell(action, COMPLETED, '{"n": 1}')
        assert wire.ended(run)[1].output == b'{"n": 1}'
        worker.tell(action, COMPLETED, '{"n": 2}')
        wait_for(lambda: wire.ended(run)[1].output == b'{"n": 2}', what="the second completion")
        worker.tell(action, FAILED, "no")
        wait_for(lambda: wire.ended(run)[0] == "FAILED", what="the failure of what had succeeded")


def ordinary_tasks_end_in_batches(engine):
    with Wire(engine) as wire, WireWorker(wire, "batch", ["batch:batch", "other:other"]) as worker:
        wire.put("batch")
        wire.put("other")

        def take(*names):
            runs = [wire.run(name) for name in names]
            actions = {action.workflow_run_id: action for action in (worker.next() for _ in names)}
            return runs, [actions[run] for run in runs]

        def send(actions, kind, *payloads):
            wire.call("SendBatchActionEvent", worker.batch(actions, kind, payloads))
        runs, actions = take("batch", "other", "batch")       # of several actions, although it has a field for one
        send(actions, STARTED, "", "", "")
        send(actions, COMPLETED, '{"i":0}', '{"i":1}', '{"i":2}')
        assert [wire.ended(run)[1].output for run in runs] == [b'{"i":0}', b'{"i":1}', b'{"i":2}']
        runs, actions = take("batch", "batch")
        send(actions, FAILED, "one", "two")
        assert [wire.ended(run)[1].error for run in runs] == ["one", "two"]
        runs, actions = take("batch", "batch")
        send(actions, CANCELLED, "", "")                      # where a single event of that kind is refused
        assert [wire.ended(run)[0] for run in runs] == ["CANCELLED", "CANCELLED"]
        assert {(a.action_type, a.workflow_run_id) for a in (worker.next(), worker.next())} == {(CANCEL, run) for run in runs}
        runs, actions = take("batch", "batch", "batch")
        actions[1].task_run_external_id = NOBODY              # harms only itself
        send(actions, COMPLETED, "{}", "{}", "{}")
        assert [wire.ended(runs[i])[0] for i in (0, 2)] == ["COMPLETED", "COMPLETED"] and wire.state(runs[1]) == "RUNNING"
        runs, actions = take("batch", "batch")
        send(actions, COMPLETED, "{bad", "{}")
        assert [wire.ended(run)[0] for run in runs] == ["FAILED", "COMPLETED"]
        runs, actions = take("batch", "batch")
        good = actions[1].task_run_external_id
        actions[1].task_run_external_id = "no UUID"           # the whole batch is refused, and nothing of it happens
        assert wire.refused("SendBatchActionEvent", worker.batch(actions, COMPLETED, ["{}", "{}"]))[0] == "INVALID_ARGUMENT"
        assert [wire.state(run) for run in runs] == ["RUNNING", "RUNNING"]
        actions[1].task_run_external_id = good
        send(actions, COMPLETED, "{}", "{}")
        assert [wire.ended(run)[0] for run in runs] == ["COMPLETED", "COMPLETED"]


def a_cancelled_task_must_stay_silent(engine):
    with Wire(engine) as wire, WireWorker(wire, "silent", ["silent:silent"]) as worker:
        wire.put("silent")
        run = wire.run("silent")
        action = worker.next()
        assert list(wire.call("CancelTasks", workflows.CancelTasksRequest(external_ids=[run])).cancelled_tasks) == [run]
        cancel = worker.next()
        assert (cancel.action_type, cancel.task_run_external_id, cancel.retry_count) == (CANCEL, run, 0)
        assert cancel.action_payload == ""
        assert wire.ended(run)[0] == "CANCELLED"
        worker.tell(action, COMPLETED, '{"late": 1}')
        # What a late completion makes of it: a cancelled run that is completed after all, with two results for its one task.
        wait_for(lambda: wire.state(run) == "COMPLETED", what="the late completion")


def results_come_through_a_stream(engine):
    with Wire(engine) as wire, WireWorker(wire, "result", ["result:result"]) as worker:
        wire.put("result")
        asked = queue.Queue()
        stream = wire.call("SubscribeToWorkflowRuns", iter(asked.get, None), timeout=120)

        def follow(run):
            asked.put(dispatcher.SubscribeToWorkflowRunsRequest(workflow_run_id=run))
        follow("nonsense")        # no error, and no answer
        follow(NOBODY)
        for kind, payload in ((COMPLETED, '{"z":1}'), (FAILED, "boo\nbar")):
            run = wire.run("result")
            follow(run)
            worker.tell(worker.next(), kind, payload)
            event = next(stream)
            assert event.workflow_run_id == run and len(event.results) == 1
            result = event.results[0]
            assert (result.task_name, result.task_run_external_id) == ("result", run)
            assert (result.output if kind == COMPLETED else result.error) == payload
            assert result.HasField("output") == (kind == COMPLETED) and result.HasField("error") == (kind == FAILED)
            follow(run)           # one that has ended is answered, too
            assert next(stream).workflow_run_id == run
        run = wire.run("result")
        worker.next()
        wire.call("CancelTasks", workflows.CancelTasksRequest(external_ids=[run]))
        follow(run)
        result = next(stream).results[0]
        assert not result.HasField("output") and result.error == "", result
        asked.put(None)


def a_failure_is_tried_again(engine):
    with Wire(engine) as wire, WireWorker(wire, "again", ["twice:twice", "later:later"]) as worker:
        wire.put("twice", retries=2)
        wire.put("later", retries=1, backoff_factor=2.0, backoff_max_seconds=5)
        run = wire.run("twice")
        first = worker.next()
        worker.tell(first, FAILED, "one")
        second = worker.next()
        assert (second.retry_count, second.task_run_external_id) == (1, run)
        worker.tell(first, COMPLETED, '{"late": 1}')          # of an attempt that is over
        assert wire.state(run) == "RUNNING"
        worker.tell(second, FAILED, "two", should_not_retry=True)
        assert (wire.ended(run)[0], wire.ended(run)[1].error) == ("FAILED", "two")
        run = wire.run("later")
        worker.tell(worker.next(), FAILED, "one")
        third = worker.next(60)                               # asked for are 2 s; the engine looks every few
        assert (third.retry_count, third.task_run_external_id) == (1, run)
        worker.tell(third, COMPLETED, "{}")
        assert wire.ended(run)[0] == "COMPLETED"


def a_timeout_is_a_cancel_and_a_failure(engine):
    with Wire(engine) as wire, WireWorker(wire, "short", ["short:short"]) as worker:
        wire.put("short", timeout="1s")
        run = wire.run("short")
        first = worker.next()
        cancel = worker.next()
        assert (cancel.action_type, cancel.task_run_external_id) == (CANCEL, run)
        state, task = wire.ended(run)
        assert (state, task.error) == ("FAILED", "Task exceeded timeout of 1s")
        longer = dispatcher.RefreshTimeoutRequest(task_run_external_id=first.task_run_external_id, increment_timeout_by="60s")
        assert status_of(lambda: wire.call("RefreshTimeout", longer)) == "INTERNAL"        # it is over
        run = wire.run("short")
        action = worker.next()
        longer.task_run_external_id = action.task_run_external_id
        assert wire.call("RefreshTimeout", longer).timeout_at.seconds > time.time() + 30
        assert nothing_comes(worker, 4)
        worker.tell(action, COMPLETED, "{}")
        assert wire.ended(run)[0] == "COMPLETED"
        longer.increment_timeout_by = "5x"
        assert wire.refused("RefreshTimeout", longer)[0] == "INVALID_ARGUMENT"


def an_input_is_not_looked_at(engine):
    """An array is accepted and the task gets null: it is ours to ask for an object."""
    with Wire(engine) as wire, WireWorker(wire, "input", ["input:input"]) as worker:
        wire.put("input")
        for text in ("[1]", "5", ""):
            wire.call("TriggerWorkflow", trigger.TriggerWorkflowRequest(name="input", input=text))
            action = worker.next()
            assert json.loads(action.action_payload)["input"] is None
            worker.tell(action, COMPLETED, "{}")
        for text in ("{bad", '{"a":"\\u0000"}'):
            assert wire.refused("TriggerWorkflow", trigger.TriggerWorkflowRequest(name="input", input=text))[0] == "INVALID_ARGUMENT"
        assert status_of(lambda: wire.run("input", additional_metadata="{bad")) == "INVALID_ARGUMENT"
        assert status_of(lambda: wire.run("input", {"x": "y" * (4 << 20)})) == "RESOURCE_EXHAUSTED"
        wire.run("input", {"x": "y" * (3900 << 10)})
        assert len(worker.next().action_payload) > 3900 << 10


def a_run_of_nothing_may_be_accepted(engine):
    """An unknown name gets an id that never becomes a run, alone and in a bulk; the look-up says NOT_FOUND for ever."""
    with Wire(engine) as wire, WireWorker(wire, "bulk", ["bulk:bulk"]) as worker:
        wire.put("bulk")
        requests = [trigger.TriggerWorkflowRequest(name=name, input="{}") for name in ("bulk", "no.such", "bulk")]
        try:
            ids = wire.call("BulkTriggerWorkflow", old_workflows.BulkTriggerWorkflowRequest(workflows=requests)).workflow_run_ids
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
            return
        assert {worker.next().workflow_run_id, worker.next().workflow_run_id} == {ids[0], ids[2]}
        assert wire.state(ids[1]) is None


def a_released_slot_is_not_given_to_another(engine):
    """ReleaseSlot is answered, and the row of the slot stays: in this version it buys nothing, and harms nothing."""
    with Wire(engine) as wire, WireWorker(wire, "slot", ["slot:slot"], slots=1) as worker:
        wire.put("slot", timeout="600s")
        wire.run("slot")
        first = worker.next()
        second = wire.run("slot")
        wire.call("ReleaseSlot", dispatcher.ReleaseSlotRequest(task_run_external_id=first.task_run_external_id))
        assert nothing_comes(worker, 5)
        worker.tell(first, COMPLETED, "{}")
        assert wire.ended(first.workflow_run_id)[0] == "COMPLETED"
        action = worker.next()
        assert action.workflow_run_id == second
        worker.tell(action, COMPLETED, "{}")


def to_unsubscribe_leaves_the_stream_open_and_silent(engine):
    """The worker stays active in the engine's eyes, and what it is assigned is lost for a while: it must end the stream, too."""
    with Wire(engine) as wire, WireWorker(wire, "leaver", ["leaver:leaver"]) as worker:
        wire.put("leaver")
        run = wire.run("leaver")
        worker.tell(worker.next(), COMPLETED, "{}")
        assert wire.ended(run)[0] == "COMPLETED"
        request = dispatcher.WorkerUnsubscribeRequest(worker_id=worker.id)
        wire.call("Unsubscribe", request)
        wire.run("leaver")
        assert nothing_comes(worker, 5) and worker.end.empty()
        assert status_of(lambda: wire.call("Heartbeat", worker.heartbeat())) == "OK"
        assert engine.query(f"""SELECT "isActive" FROM "Worker" WHERE id = '{worker.id}'""") == [["t"]]
        request.worker_id = NOBODY
        assert status_of(lambda: wire.call("Unsubscribe", request)) == "NOT_FOUND"


@own_engine
def an_engine_that_stops_ends_the_stream_well(engine):
    with Wire(engine) as wire, WireWorker(wire, "stays", ["stays:stays"]) as worker:
        wire.put("stays")
        run = wire.run("stays")
        worker.tell(worker.next(), COMPLETED, "{}")
        assert wire.ended(run)[0] == "COMPLETED"
        engine.do("stop")
        assert worker.end.get(timeout=10) == "OK"             # a clean end, and not an error
        assert status_of(lambda: wire.call("Heartbeat", worker.heartbeat())) == "UNAVAILABLE"
        engine.do("start")
        with Wire(engine) as again:
            worker.wire = again
            worker.listen()                       # the id lives on in the database
            wait_for(lambda: status_of(lambda: again.call("Heartbeat", worker.heartbeat())) == "OK", what="a heartbeat")
            run = again.run("stays")
            action = worker.next(60)
            assert action.workflow_run_id == run
        engine.do("fresh")
        with Wire(engine) as third:
            worker.wire = third
            assert status_of(lambda: third.call("Heartbeat", worker.heartbeat())) == "NOT_FOUND"


@own_engine
def a_revoked_token_is_refused(engine):
    with Wire(engine) as wire:
        request = dispatcher.WorkerRegisterRequest(worker_name="x", actions=["x:x"])
        wire.call("Register", request)
        engine.query('UPDATE "APIToken" SET revoked = true')
        first = engine.token
        engine.do("stop")                         # it has seen the token, and remembers for a while
        engine.do("start")
        assert engine.token != first
        with Wire(engine, first) as revoked:
            assert revoked.refused("Register", request) == ("UNAUTHENTICATED", "invalid auth token")
        with Wire(engine) as fresh:
            fresh.call("Register", request)


TESTS = [a_token_is_asked_for_at_every_call, a_bad_definition_is_told_badly, actions_are_lower_case, slots_are_said_in_one_way,
         a_heartbeat_tells_of_a_stream_that_is_gone, what_an_action_carries, a_result_is_any_json, an_event_needs_three_fields,
         the_last_word_about_an_attempt_counts, ordinary_tasks_end_in_batches, a_cancelled_task_must_stay_silent, results_come_through_a_stream, a_failure_is_tried_again,
         a_timeout_is_a_cancel_and_a_failure, an_input_is_not_looked_at, a_run_of_nothing_may_be_accepted,
         a_released_slot_is_not_given_to_another, to_unsubscribe_leaves_the_stream_open_and_silent,
         an_engine_that_stops_ends_the_stream_well, a_revoked_token_is_refused]

if __name__ == "__main__":
    sys.exit(run_all(TESTS))
