"""Which settings are secret by their name, and that these are masked."""

from typing import Any

from cases import check_each

from membrane.schema import GROUPS, Config, Settings
from membrane.schema.secrets import MASK, is_secret, masked, masked_override

SECRETS: list[tuple[str, Any]] = [
    *(
        (name, "x")
        for name in ("key", "api_key", "apikey", "apiKey", "API_KEY", "token", "access-token", "accessToken")
    ),
    *((name, "x") for name in ("secret", "client_secret", "password", "db.password", "passwd", "credentials", "keys")),
    *((name, "x") for name in ("wandb_api_key", "key_file", "secretKey", "login.token", "credentials.user", "HFToken")),
    *((name, 12345) for name in ("password", "api_key", "token", "secret_number", "credentials.pin")),
]
LOOK_ALIKES: list[tuple[str, Any]] = [
    *((name, 64) for name in ("key_dim", "num_tokens", "tokens", "keys", "n_keys", "token_length")),
    *((name, "x") for name in ("monkey", "keyboard", "tokenizer", "name", "project", "compass", "secretary")),
    ("password", None),
    ("use_token", True),
]


def test_a_setting_named_like_a_secret_is_masked() -> None:
    def check_secret(case: tuple[str, Any]) -> None:
        name, value = case
        assert is_secret(name, value)
        assert masked(name, value) == MASK
        assert masked("model", {name: [value, {"deeper": value}]}) == {name: [MASK, {"deeper": MASK}]}
        assert masked_override(f"++model.{name}={value}") == f"++model.{name}={MASK}"

    check_each(SECRETS, check_secret)


def test_what_only_looks_like_a_secret_is_not() -> None:
    def check_look_alike(case: tuple[str, Any]) -> None:
        name, value = case
        assert not is_secret(name, value)
        assert masked(name, {"inner": value}) == {"inner": value}

    check_each(LOOK_ALIKES, check_look_alike)


def test_no_setting_of_ours_would_be_masked() -> None:
    """A model could not be rebuilt from a masked setting."""
    settings_classes: list[type[Settings]] = [Config, *(each for _, choices in GROUPS.values() for each in choices)]
    names = [field.alias or name for each in settings_classes for name, field in each.model_fields.items()]
    assert [name for name in names if is_secret(name, "text")] == []


def test_an_override_is_masked_where_it_says_a_secret() -> None:
    assert masked_override("seed=3") == "seed=3"
    assert masked_override("++model.num_tokens=64") == "++model.num_tokens=64"
    assert masked_override("--cfg") == "--cfg"
    assert masked_override("model={width: 3, api_key: abc, deep: {token: def, key_dim: 3}}") == (
        "model={width: 3, api_key: ***, deep: {token: ***, key_dim: 3}}"
    )
