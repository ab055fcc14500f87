import pytest

from aevq.runs.sealed import Broken, seal_json, seal_yaml, unseal_json, unseal_yaml

VALUES = {"a": 1.5, "b": [1, None, "ü"], "c": {"d": True}}


def test_what_was_sealed_comes_back():
    assert unseal_json(seal_json(VALUES)) == VALUES
    assert unseal_yaml(seal_yaml("a: 1\n"), True) == "a: 1\n"


def test_a_change_is_noticed_and_what_has_no_seal_is_believed():
    with pytest.raises(Broken, match="changed since it was written"):
        unseal_json(seal_json(VALUES).replace("1.5", "1.4"))
    with pytest.raises(Broken, match="changed since it was written"):
        unseal_yaml(seal_yaml("a: 1\n").replace("1\n", "2\n", 1), False)
    assert unseal_json('{"a": 1}') == {"a": 1}
    assert unseal_yaml("a: 1\n", False) == "a: 1\n"
    with pytest.raises(Broken, match="missing"):
        unseal_yaml("a: 1\n", True)


@pytest.mark.parametrize("text", ["[]", "3", "{", '{"a": NaN}', '{"a": Infinity}', "[" * 100_000])
def test_what_is_no_object_of_finite_numbers_is_broken(text):
    with pytest.raises(Broken):
        unseal_json(text)


def test_a_number_that_is_not_finite_is_not_written():
    with pytest.raises(ValueError, match="not JSON compliant"):
        seal_json({"a": float("nan")})
