"""What lies behind `run.py`: composes the configuration, and hands it to the verb of its benchmark."""

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.config import register
from experiments.door import CONF, Door

register()
door = Door()


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="run")
def main(config: DictConfig) -> None:
    """Do one job: search, or simulate."""
    from experiments.build import build_verb

    door.job(lambda start, console: build_verb(config)(config, console, start), name=HydraConfig.get().job.override_dirname)
