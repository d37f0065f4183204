"""Records: what is of the declared format becomes a dataclass, and whatever else comes is named and refused."""

import json
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copi_ref.files import records
from copi_ref.files.records import RecordError, parsed, record


@dataclass(frozen=True, kw_only=True)
class Inner:
    count: Annotated[int, range(1, 10)]


@dataclass(frozen=True, kw_only=True)
class Format:
    name: str
    inner: Inner
    rates: float | list[float]
    kind: Literal["one", "other"] = "one"
    words: dict[str, str | None] | None = None
    anything: Any = None
    flag: bool = False


GOOD = {"name": "a", "inner": {"count": 3}, "rates": [1, 0.5]}


def test_what_is_declared_becomes_a_dataclass():
    assert record(Format, GOOD) == Format(name="a", inner=Inner(count=3), rates=[1, 0.5])
    more = {**GOOD, "rates": 2, "kind": "other", "words": {"b": None, "c": "d"}, "anything": [{"e": []}], "flag": True}
    assert record(Format, more) == Format(**{**more, "inner": Inner(count=3)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"names": 1},
            "has names, which is no key: required are name, inner, rates; optional kind, words, anything, f",
        ),
        ({"name": None}, "name is None: needs a text"),
        ({"inner": [1]}, r"inner is \[1\]: needs an object"),
        ({"inner": {}}, "inner: lacks count: required are count"),
        ({"inner": {"count": 10}}, r"inner\.count is 10: needs at most 9"),
        ({"inner": {"count": 0}}, r"inner\.count is 0: needs at least 1"),
        ({"inner": {"count": True}}, r"inner\.count is True: needs a whole number"),
        ({"inner": {"count": 2.0}}, r"inner\.count is 2\.0: needs a whole number"),
        ({"rates": "x"}, "rates is 'x': needs a number or a list"),
        ({"rates": [1, [2]]}, r"rates\[1\] is \[2\]: needs a number"),
        ({"rates": 10**400}, "rates is 10+…: needs a finite number"),
        ({"rates": [float("nan")]}, r"rates\[0\] is nan: needs a finite number"),
        ({"kind": "third"}, "kind is 'third': choose one of 'one', 'other'"),
        ({"kind": []}, r"kind is \[\]: needs one of 'one', 'other'"),
        ({"words": {"b": 1}}, r"words\.b is 1: needs a text or null"),
        ({"flag": 1}, "flag is 1: needs true or false"),
        ({"name": 1, "rates": ["long" * 10_000]}, "name is 1: needs a text"),
    ],
)
def test_what_is_not_is_named(changes, message):
    with pytest.raises(RecordError, match=f"^{message}"):
        record(Format, {**GOOD, **changes})


def test_a_message_stays_short():
    with pytest.raises(RecordError) as refused:
        record(Format, {**GOOD, "words": {"k" * 10_000: ["v" * 10_000]}, "kind": "one"})
    assert len(str(refused.value)) < 200
    with pytest.raises(RecordError) as refused:
        record(Format, {**GOOD, "u" * 10_000: 1})
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("values", [None, [], 7, "text"])
def test_no_object_is_no_record(values):
    with pytest.raises(RecordError, match="needs an object"):
        record(Format, values)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(sorted(GOOD)), inner),
)


@settings(max_examples=25)
@given(st.dictionaries(st.sampled_from(["name", "inner", "rates", "kind", "words", "anything", "flag"]), JSON))
def test_nothing_else_is_ever_raised(values):
    with suppress(RecordError):
        assert isinstance(record(Format, {**GOOD, **values}), Format)


@pytest.mark.parametrize("loads", [json.loads, tomllib.loads])
def test_what_is_nested_too_deeply_is_refused(loads):
    with pytest.raises(ValueError, match="is nested too deeply"):
        parsed(loads, b"a = " * (loads is tomllib.loads) + b"[" * 100_000)
    deep = 1
    for _ in range(records.DEPTH + 1):
        deep = [deep]
    with pytest.raises(RecordError, match="anything is nested too deeply: needs at most 20 levels"):
        record(Format, {**GOOD, "anything": deep})


def test_what_is_too_large_or_no_text_is_refused(monkeypatch):
    with pytest.raises(ValueError, match="utf-8"):
        parsed(json.loads, b"\xff")
    monkeypatch.setattr(records, "LARGEST", 3)
    assert parsed(json.loads, b"[1]") == [1]
    with pytest.raises(ValueError, match="has 4 bytes: needs at most 3"):
        parsed(json.loads, b"[12]")
