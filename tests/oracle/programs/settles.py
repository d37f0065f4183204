"""A program that speaks the protocol, with Inference Learning by loops in it; given a word, it makes that mistake."""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from inference.loops import Loops

from copi_ref.oracle import InferenceConventions

NAMES = ["errors", "predictions", "energy", "start", "infer", "weight_update", "step"]


def plain(value):
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return np.asarray(value).tolist()


def answered(loops, request, mistake):
    name, given = request["function"], request["arguments"]
    lists = {"W", "states", "b"}
    inputs = [
        [np.array(one) for one in value] if key in lists else np.array(value) if isinstance(value, list) else value
        for key, value in given.items()
    ]
    if name == "infer" and mistake == "ascends":
        inputs[3] = -inputs[3]
    found = getattr(loops, name)(*inputs)
    if name == "step":
        return {"W": plain(found[0]), "b": plain(found[1])} if "b" in given else {"W": plain(found)}
    if name == "weight_update" and "b" in given:
        return {"W": plain(found[0]), "b": plain(found[1])}
    return plain(found)


def main():
    mistake, loops = " ".join(sys.argv[1:]), None
    asked = []
    for line in sys.stdin:
        request = json.loads(line)
        if mistake == "dies of repetition" and request.get("arguments") in asked:
            sys.exit(7)
        asked.append(request.get("arguments"))
        if mistake == "dies" and request["id"] == 3:
            print("no more layers", file=sys.stderr)
            sys.exit(7)
        if request["function"] == "functions":
            chosen = {**request["conventions"]}
            chosen["precisions"] = tuple(chosen["precisions"])
            loops, result = Loops(InferenceConventions(**chosen)), NAMES
        else:
            result = answered(loops, request, mistake)
        print(json.dumps({"id": request["id"], "result": result}), flush=True)


if __name__ == "__main__":
    main()
