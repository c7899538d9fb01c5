"""Hydra's own options: reading them, and what Hydra shows by itself (completion, `--info`, `--hydra-help`)."""

import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from membrane.config.composer import PRIMARY, conf_folder
from membrane.errors import ConfigError, one_line
from membrane.runs.provenance import program_command


def hydra_options(arguments: Sequence[str]) -> Namespace:
    """Return Hydra's options, and the overrides among them. Raises ConfigError for an option that membrane refuses."""
    # hydra-core 1.3 has no public way to its parser; Hydra's own main would end the process for a wrong option
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    parser.exit_on_error = False
    try:
        options, unknown = parser.parse_known_intermixed_args(list(arguments))
    except Exception as error:
        raise ConfigError(f"{error}; see --help") from None
    if unknown:
        raise ConfigError(f"{unknown[0]}: no such option; settings have no dashes, as epochs=5; see --help")
    refuse_options(options)
    return options


def refuse_options(options: Namespace) -> None:
    """Raise ConfigError for options of Hydra that do not go together or that membrane does not take."""
    if (options.package or options.resolve) and not options.cfg:
        raise ConfigError("--package and --resolve go only with --cfg; see --help")
    if options.info in ("all", "config"):
        raise ConfigError("--info shows defaults, defaults-tree, plugins or searchpath; --cfg all the configuration")
    if options.experimental_rerun is not None:
        raise ConfigError(
            "--experimental-rerun unpickles what it is given; start the run again with its overrides instead"
        )
    if options.config_name is not None or options.config_path is not None:
        raise ConfigError(
            f"--config-name and --config-path are fixed to conf/{PRIMARY}.yaml; add files with --config-dir"
        )


def show_by_hydra(arguments: Sequence[str]) -> None:
    """Let Hydra's own main complete a word or show what it knows. Raises ConfigError for what it cannot show."""
    import hydra

    before, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [before[0], *arguments]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions instead of the end of the process
    try:
        hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name=PRIMARY)(print)()
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(one_line(error)) from None
    except (KeyError, ValueError) as error:
        install = shlex.join([*program_command(), "-sc", "install=bash"])
        raise ConfigError(f'{one_line(error)}; completion is switched on with eval "$({install})"') from None
    finally:
        sys.argv = before
        if full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error
