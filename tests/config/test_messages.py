"""Mistakes in one line: the line that each of pydantic's errors becomes, for settings made up here."""

import re
from typing import Annotated, Any, Literal

import pytest
from cases import check_each
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from membrane.config.messages import (
    expected_text,
    explain_validation,
    names_at,
    nearest,
    path_text,
    typed_path,
    typing_hint,
    unknown_choice,
    unknown_setting,
)

STRICT = ConfigDict(extra="forbid", strict=True)


class Inner(BaseModel):
    """Settings within settings."""

    model_config = STRICT
    rate: Annotated[float, Field(gt=0)] = 0.1
    sizes: int | list[int] = 3


class Outer(BaseModel):
    """Settings of every type that a message is made for."""

    model_config = STRICT
    inner: Inner = Inner()
    maybe: Inner | None = None
    entries: dict[str, int] = {}
    count: int = 1
    word: str = "x"
    code: Annotated[str, StringConstraints(pattern=r"^[a-z]+$")] = "x"
    choice: Literal["first", "last"] = "last"
    switch: bool | int = True
    needed: int
    target: str = Field("x", alias="_target_")

    @field_validator("word")
    @classmethod
    def no_spaces(cls, word: str) -> str:
        if " " in word:
            raise ValueError("one word, please")
        return word


NAMES = "choice, code, count, entries, inner, maybe, needed, switch, word"
MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"count": "3"}, "p.count: expected a whole number, got '3'"),
    ({"count": 2.5}, "p.count: expected a whole number, got 2.5"),
    ({"inner": {"rate": "x"}}, "p.inner.rate: expected a number, got 'x'"),
    ({"inner": {"rate": 0}}, "p.inner.rate: must be greater than 0, got 0"),
    ({"inner": {"sizes": "x"}}, "p.inner.sizes: expected a whole number or a list such as [1,2], got 'x'"),
    ({"inner": {"sizes": [1, 2, "x"]}}, "p.inner.sizes[2]: expected a whole number, got 'x'"),
    ({"inner": 5}, "p.inner: expected settings by name (rate, sizes), got 5"),
    ({"entries": 5}, "p.entries: expected entries by name, got 5"),
    ({"word": 5}, "p.word: expected text, got 5; quote it: p.word='\"5\"'"),
    ({"word": None}, "p.word: expected text, got None"),
    ({"word": "a b"}, "p.word: one word, please"),
    ({"code": "A"}, "p.code: expected letters, digits, '.', '_' or '-', the first a letter or digit, got 'A'"),
    ({"choice": "lst"}, "p.choice: expected 'first' or 'last', got 'lst'; did you mean last?"),
    ({"choice": 5}, "p.choice: expected 'first' or 'last', got 5"),
    ({"switch": "x"}, "p.switch: expected true or false or a whole number, got 'x'"),
    ({"inner": {"rat": 1}}, "p.inner.rat: no such setting; did you mean rate? valid: rate, sizes"),
    ({"maybe": {"rat": 1}}, "p.maybe.rat: no such setting; did you mean rate? valid: rate, sizes"),
    ({"count": "x", "zzz": 1}, f"p.zzz: no such setting; valid: {NAMES}"),
    ({"needed": "x", "count": "y"}, "p.count: expected a whole number, got 'y'"),
]


def refusal(settings: dict[str, Any]) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(settings)
    return caught.value


def test_each_error_of_pydantic_is_a_line() -> None:
    def check(case: tuple[dict[str, Any], str]) -> None:
        settings, line = case
        assert explain_validation("p", Outer, refusal({"needed": 1, **settings})) == line

    check_each(MISTAKES, check)


def test_a_value_that_is_needed() -> None:
    assert explain_validation("p", Outer, refusal({})) == "p.needed: a value is needed"


def test_a_path_is_that_of_the_whole_configuration_where_none_is_given() -> None:
    assert explain_validation("", Outer, refusal({})) == "needed: a value is needed"
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(5)
    line = explain_validation("", Outer, caught.value)
    assert re.fullmatch(r"configuration: expected settings by name \(inner, maybe, .*, _target_\), got 5", line)


def test_the_nearest_name_is_offered_as_it_is_typed() -> None:
    assert nearest("lrr", ["betas", "lr"]) == "; did you mean lr?"
    assert nearest("atann", iter(["atan", "sigmoid"]), "surrogate") == "; did you mean surrogate=atan?"
    assert nearest("lrr", ["betas"]) == nearest("lrr", []) == ""


def test_names_are_listed_in_order_without_those_that_are_not_typed() -> None:
    assert unknown_setting("o.x", "x", ["lr", "_target_", "eps"]) == "o.x: no such setting; valid: eps, lr"
    assert unknown_setting("o.lrr", "lrr", ["lr", "eps"]) == "o.lrr: no such setting; did you mean lr? valid: eps, lr"
    assert unknown_setting("o.x", "x", ["_target_"]) == "o.x: no such setting; there are none here"


def test_choices_are_listed_in_order() -> None:
    assert unknown_choice("g", "x", ["two", "one"]) == "g=x: no such choice; valid: one, two"
    assert unknown_choice("g", "on", ["two", "one"]) == "g=on: no such choice; did you mean g=one? valid: one, two"
    none = "g=x: no such choice; conf/g has none, --config-dir DIR adds yours"
    assert unknown_choice("g", "x", []) == none


def test_a_file_in_the_place_of_a_data_set_is_told_how_it_is_read() -> None:
    way_out = "no such choice; write dataset=arrays dataset.path="
    assert unknown_choice("dataset", "my.npz", ["digits"]) == f"dataset=my.npz: {way_out}my.npz"
    assert unknown_choice("dataset//tmp/a", "b.CSV", ["digits"]) == f"dataset=/tmp/a/b.CSV: {way_out}/tmp/a/b.CSV"
    assert "valid: digits" in unknown_choice("dataset", "npz", ["digits"])
    assert "valid: smlp" in unknown_choice("model", "my.npz", ["smlp"])


def test_a_path_is_written_as_it_is_typed() -> None:
    assert path_text(["optimizer", "betas", 0]) == "optimizer.betas[0]"
    assert path_text(["a", 1, "b"]) == "a[1].b"
    assert path_text([]) == ""


def test_the_names_at_a_path() -> None:
    assert names_at(Outer, ["inner"]) == names_at(Outer, ["maybe"]) == ["rate", "sizes"]
    assert names_at(Outer, [])[-1] == "_target_"
    for values in (["count"], ["nope"], ["inner", "rate"], ["count", "inner"]):
        assert names_at(Outer, values) == []


def test_alternatives_of_a_union_are_no_part_of_a_path() -> None:
    assert typed_path(Outer, ("inner", "sizes", "list[int]", 2)) == ("inner", "sizes", 2)
    assert typed_path(Outer, ("inner", "sizes", "int")) == ("inner", "sizes")
    assert typed_path(Outer, ("entries", "a", "int")) == ("entries",)
    assert typed_path(None, ("a", "b", 1)) == ("a", 1)


def test_what_is_expected_in_plain_words() -> None:
    def expected(type_: str, message: str = "") -> str:
        return expected_text({"type": type_, "msg": message}, [])

    assert expected("bool_type") == "expected true or false"
    assert expected("other", "Input should be 'a' or 'b'") == "expected 'a' or 'b'"
    assert expected("other", "Input should be finite") == "must be finite"
    message = "List should have at least 2 items after validation, not 1"
    assert expected("other", message) == "must have at least 2 items, not 1"
    assert expected("other", "the String should stay") == "the String should stay"
    for type_ in ("model_type", "dict_type"):
        assert expected(type_) == "expected entries by name"
        assert expected_text({"type": type_, "msg": ""}, ["b", "a"]) == "expected settings by name (b, a)"


def test_a_number_in_place_of_text_is_quoted() -> None:
    for value in (True, 1, 2.5):
        assert typing_hint("name", {"type": "string_type", "input": value}) == f"; quote it: name='\"{value}\"'"
    assert typing_hint("name", {"type": "string_type", "input": [1]}) == ""
    assert typing_hint("name", {"type": "int_type", "input": 1}) == ""
