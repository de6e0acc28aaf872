"""The only door of the harness: `python run.py task=adult optimizer=bohb`. Options: `python run.py --help`."""

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.config import register
from experiments.door import Door

register()
door = Door()


@hydra.main(version_base="1.3", config_path="experiments/conf", config_name="run")
def main(config: DictConfig) -> None:
    """Compose the configuration and hand it to the verb of its benchmark: search, or simulate."""
    from experiments.build import build_verb

    door.job(lambda start, console: build_verb(config)(config, console, start), name=HydraConfig.get().job.override_dirname)


if __name__ == "__main__":
    door.enter(main)
