"""Logs of lm-eval 0.4 and of Inspect in the layout that these programs write, made by code."""

from __future__ import annotations

import json
import struct
import zlib

import pyarrow

DATE = "2026-02-03T04-05-06.789012"
STAMP = "2026-02-03T04-05-06-00-00"


def question(k):
    return f"Which number follows {k}?"


def lm_eval_rows(values, *, metric="acc", filters=("none",), target=None):
    """One line an item and filter; `values` are the items' scores, the same under each filter."""
    rows = []
    for name in filters:
        for k, value in enumerate(values):
            rows.append({
                "doc_id": k, "doc": {"n": k}, "target": str(k + 1) if target is None else target(k),
                "arguments": {"gen_args_0": {"arg_0": question(k), "arg_1": {"until": ["\n"]}}},
                "resps": [[f"said {k}"]], "filtered_resps": [f"said {k}"], "filter": name, "metrics": [metric],
                "doc_hash": "0" * 64, "prompt_hash": "0" * 64, "target_hash": "0" * 64, metric: value,
            })  # fmt: skip
    return rows


def choice_rows(values):
    """Lines of a multiple-choice task with three options; the first is right."""
    rows = lm_eval_rows(values, target=lambda k: "0")
    for k, row in enumerate(rows):
        options = [f" {k + 1}", f" {k + 2}", f" {k + 3}"]
        row["arguments"] = {f"gen_args_{n}": {"arg_0": question(k), "arg_1": o} for n, o in enumerate(options)}
        likely = ["-1.5", "-2.5", "-3.5"] if values[k] else ["-3.5", "-2.5", "-1.5"]
        row["resps"] = [[[value, "False"]] for value in likely]
    return rows


def write_lm_eval(folder, tasks, *, model="org/model", date=DATE, version="0.4.9", higher=None, kinds=None, **more):
    """A folder of one run; returns its results file. `tasks` holds the lines of each task."""
    folder.mkdir(parents=True, exist_ok=True)
    results = {
        "results": {}, "configs": {}, "n-shot": dict.fromkeys(tasks, 0), "n-samples": {}, "model_name": model,
        "higher_is_better": {task: higher or {} for task in tasks}, "lm_eval_version": version, "chat_template": None,
        **more,
    }  # fmt: skip
    for task, rows in tasks.items():
        keys = {f"{metric},{row['filter']}": 0.0 for row in rows for metric in row["metrics"]}
        results["results"][task] = {"alias": task, **keys, **{k.replace(",", "_stderr,"): 0.0 for k in keys}}
        results["configs"][task] = {"output_type": (kinds or {}).get(task, "generate_until")}
        count = len({row["doc_id"] for row in rows})
        results["n-samples"][task] = {"original": count, "effective": count}
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"samples_{task}_{date}.jsonl").write_text(text, encoding="utf-8")
    path = folder / f"results_{date}.json"
    path.write_text(json.dumps(results, indent=2), encoding="utf-8")
    return path


def inspect_log(values, *, epochs=1, scorer="match", task="numbers", status="success", model="lab/model"):
    """A log as a dict; `values` are the items' scores as the scorer wrote them."""
    samples = [
        {
            "id": k, "epoch": epoch, "input": question(k), "target": str(k + 1), "messages": [], "attachments": {},
            "output": {"model": model, "choices": [], "completion": f"said {k}"},
            "scores": {scorer: {"value": value, "answer": "", "explanation": "", "history": []}},
        }
        for epoch in range(1, epochs + 1) for k, value in enumerate(values)
    ]  # fmt: skip
    return {
        "version": 2, "status": status,
        "eval": {"task": task, "model": model, "created": "2026-02-03T04:05:06+00:00"},
        "plan": {"name": "plan", "steps": [{"solver": "generate", "params": {}}]},
        "results": {"total_samples": len(samples), "completed_samples": len(samples), "scores": []},
        "samples": samples,
    }  # fmt: skip


def write_inspect(path, log):
    """The log as .json or as .eval, whose members are packed with Zstandard."""
    if path.suffix == ".json":
        path.write_text(json.dumps(log), encoding="utf-8")
        return path
    members = {f"samples/{s['id']}_epoch_{s['epoch']}.json": s for s in log["samples"]}
    members["header.json"] = {key: value for key, value in log.items() if key != "samples"}
    path.write_bytes(zstandard_zip({name: json.dumps(data).encode() for name, data in members.items()}))
    return path


def zstandard_zip(members):
    """A zip archive whose members are packed by method 93."""
    body, directory = b"", b""
    for name, data in members.items():
        packed = pyarrow.Codec("zstd").compress(data, asbytes=True)
        raw = name.encode()
        sizes = struct.pack("<HHIIIHH", 0, 0x21, zlib.crc32(data), len(packed), len(data), len(raw), 0)
        directory += (b"PK\1\2" + struct.pack("<HHHH", 63, 63, 0, 93) + sizes
                      + struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + raw)  # fmt: skip
        body += b"PK\3\4" + struct.pack("<HHH", 63, 0, 93) + sizes + raw + packed
    count = len(members)
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(body), 0)
    return body + directory + b"PK\5\6" + end
