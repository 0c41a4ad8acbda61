"""A client of Python's SDK: call.py WORKFLOW INPUT; both as somebody would write it, with the address from the environment.

Triggers the workflow by its name, waits as a synchronous program does, and prints the result as JSON: that of its one task, or
an object with those of all."""
import json
import sys

from hatchet_sdk import EmptyModel, Hatchet

name, message = sys.argv[1], json.loads(sys.argv[2])
results = Hatchet().stubs.workflow(name=name).run(EmptyModel(**message))
print(json.dumps(results[name] if list(results) == [name] else results))
