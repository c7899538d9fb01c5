"""The schema's defaults in a composed configuration, so that references find what no file states."""

from omegaconf import DictConfig, OmegaConf

from membrane.schema import GROUPS, Config, Settings


def with_defaults(composed: DictConfig) -> DictConfig:
    """Return a composed configuration with the schema's defaults, so that ``${epochs}`` finds one no file states."""
    settings = OmegaConf.to_container(composed)
    assert isinstance(settings, dict)
    for name, field in Config.model_fields.items():
        if name in GROUPS or field.is_required():
            continue
        default = field.get_default()
        default = default.model_dump() if isinstance(default, Settings) else default
        if name not in settings:
            settings[name] = default
        elif isinstance(default, dict) and isinstance(settings[name], dict):
            settings[name] = {**default, **settings[name]}
    return OmegaConf.create(settings)
