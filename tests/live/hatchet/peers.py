"""A worker of Python's SDK with the tasks that tests call: peers.py NAME; address and token come from the environment."""
import asyncio
import os
import sys

from hatchet_sdk import Context, DurableContext, EmptyModel, Hatchet, NonRetryableException
from pydantic import BaseModel

hatchet = Hatchet()


class Sum(BaseModel):
    a: int
    b: int = 10


class Note(BaseModel):
    path: str
    seconds: float = 0
    until: str = ""


class Call(BaseModel):
    task: str
    input: dict
    times: int = 1


def note(path, *words):
    """A line in a file outside: what ran, and when nobody sees it any more."""
    with open(path, "a") as file:
        print(*words, file=file)


@hatchet.task(name="py_echo")
async def py_echo(input: EmptyModel, ctx: Context) -> dict:
    return input.model_dump()


@hatchet.task(name="py_add", input_validator=Sum)
def py_add(input: Sum, ctx: Context) -> dict:      # not async: on the SDK's threads
    return {"sum": input.a + input.b}


@hatchet.task(name="py_fail")
async def py_fail(input: EmptyModel, ctx: Context) -> dict:
    try:
        return {"never": 1 / 0}
    except ZeroDivisionError as cause:
        raise ValueError("bad, 42") from cause


@hatchet.task(name="py_third", retries=2)
async def py_third(input: EmptyModel, ctx: Context) -> dict:
    if ctx.attempt_number < 3:
        raise RuntimeError(f"attempt {ctx.attempt_number}")
    return {"attempt": ctx.attempt_number}


@hatchet.task(name="py_final", retries=5, input_validator=Note)
async def py_final(input: Note, ctx: Context) -> dict:
    note(input.path, "attempt", ctx.attempt_number)
    raise NonRetryableException("no more")


@hatchet.task(name="py_slow", input_validator=Note)
async def py_slow(input: Note, ctx: Context) -> dict:
    note(input.path, "begin", ctx.attempt_number)
    try:
        await asyncio.sleep(input.seconds)
        while input.until and os.path.exists(input.until):
            await asyncio.sleep(0.02)
    except asyncio.CancelledError:
        note(input.path, "stopped")
        raise
    note(input.path, "end")
    return {"slept": input.seconds}


@hatchet.task(name="py_metadata")
async def py_metadata(input: EmptyModel, ctx: Context) -> dict:
    return dict(ctx.additional_metadata)


@hatchet.task(name="py_parent", input_validator=Call)
async def py_parent(input: Call, ctx: Context) -> dict:
    """Child runs of a task, wherever it is served."""
    child = hatchet.stubs.task(name=input.task)
    items = [child.create_bulk_run_item(input=EmptyModel(**input.input, index=i)) for i in range(input.times)]
    return {"children": [dict(result) for result in await child.aio_run_many(items)]}


@hatchet.durable_task(name="py_durable_parent", input_validator=Call)
async def py_durable_parent(input: Call, ctx: DurableContext) -> dict:
    child = hatchet.stubs.task(name=input.task)
    return {"children": [dict(await child.aio_run(EmptyModel(**input.input))) for _ in range(input.times)]}


diamond = hatchet.workflow(name="py_dag", input_validator=Sum)


@diamond.task()
async def first(input: Sum, ctx: Context) -> dict:
    return {"value": input.a}


@diamond.task(parents=[first])
async def second(input: Sum, ctx: Context) -> dict:
    return {"value": ctx.task_output(first)["value"] + input.b}


if __name__ == "__main__":
    hatchet.worker(sys.argv[1], slots=500,
                   workflows=[py_echo, py_add, py_fail, py_third, py_final, py_slow, py_metadata, py_parent, py_durable_parent, diamond]).start()
