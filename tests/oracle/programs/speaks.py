"""A program that speaks the oracle's protocol: the plain implementation, or what the first argument says."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from mutants import plain

CALLS: list[dict] = []
HOW = " ".join(sys.argv[1:]) or "well"


def arrays(value, dtype):
    if isinstance(value, list) and isinstance(value[0][0], list):
        return [np.array(one, dtype=dtype) for one in value]
    return np.array(value, dtype=dtype) if isinstance(value, list) else value


def lists(value):
    return [lists(one) for one in value] if isinstance(value, (list, tuple)) else value.tolist()


def answer(request):
    name = request["function"]
    if name == "functions":
        if HOW == "lists objects":
            return {"result": [{}]}
        if HOW == "refuses":
            return {"error": "not these conventions"}
        if HOW == "paints":
            return {"error": "\x1b[2J\x1b]0;title\x07red \x1b[31malert\x1b[0m\a" + "!" * 3_000_000}
        if HOW == "lists a million":
            return {"result": [1] * 1_000_001}
        return {
            "result": ["copi_update", "stepp"]
            if HOW == "misspells"
            else ["copi_update", "forward", "perturbations", "step"]
        }
    CALLS.append(request)
    if HOW.startswith("dies later") and len(CALLS) == 4:
        sys.exit("out of memory, so to speak")
    arguments = {key: arrays(value, request["dtype"]) for key, value in request["arguments"].items()}
    if HOW == "dies":
        sys.exit("segmentation fault, so to speak")
    if HOW == "numbers":
        return {"result": 5}
    if HOW == "hangs":
        time.sleep(60)
    if HOW == "complains":
        return {"error": "x is too small for me"}
    result = lists(getattr(plain, name)(*arguments.values()))
    if HOW == "texts":
        return {"result": [[repr(one) for one in row] for row in result]}
    if HOW == "says true":
        return {"result": [[True for _ in row] for row in result]}
    if HOW == "overflows":
        return {"result": [[10**400 for _ in row] for row in result]}
    if HOW == "nan":
        result = [[None] * len(row) for row in result] if name == "copi_update" else result
    if HOW == "ragged" and name == "copi_update":
        result[0] = result[0][:-1]
    if HOW == "dies later, doubles":
        result = [[2 * one for one in row] for row in result]
    if HOW == "dies later, errs once" and len(CALLS) == 2:
        result = [[one + 1 / (2 + one**2) for one in row] for row in result]
    if HOW == "remembers" and name == "copi_update" and len(CALLS) > 1:
        result = [[2 * one for one in row] for row in result]
    if name == "forward":
        return {"result": dict(zip("xay", result, strict=True)) if HOW != "unstructured" else result}
    if name == "step":
        return {"result": dict(zip("WR", result, strict=True))}
    return {"result": result}


if HOW == "does not end its line":
    while True:
        sys.stdout.write("x" * 1_000_000)

if HOW == "does not read":
    print('{"id": 0, "result": ["copi_update"]}', flush=True)
    time.sleep(60)

if HOW == "leaves its stdout to another":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    sys.exit(7)

if HOW == "says hello and ends":
    print("hello")
    sys.exit(3)

for line in sys.stdin:
    request = json.loads(line)
    if HOW == "crashes at length":
        print("\n".join(f"  frame {number}" for number in range(1, 12)), file=sys.stderr)
        print("\nNode.js v20.20.2" + "!" * 300, file=sys.stderr)
        print("half way\nthere", flush=True)
        sys.exit(1)
    if HOW == "nests" and request["function"] != "functions":
        print("[" * 200_000, flush=True)
        continue
    if HOW == "says nothing":
        while True:
            print(flush=True)
            time.sleep(0.05)
    if HOW == "garbles":
        print("ready!", flush=True)
        continue
    reply = {"id": request["id"] + (HOW == "miscounts"), **answer(request)}
    print(json.dumps(reply) + "\n" * (HOW == "pauses"), flush=True)
    if HOW == "answers twice" and request["id"] == 3:
        print(json.dumps(reply), flush=True)
    if HOW == "remarks" and request["id"] == 3:
        print("layer 3 done", flush=True)
