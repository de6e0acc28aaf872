"""Write the golden tables of the figures anew: python -m tests.analysis.golden (a changed number belongs into CHANGELOG.md)."""

from pathlib import Path
from tempfile import TemporaryDirectory

from analysis.__main__ import figure, known
from analysis.options import Options
from tests.analysis.fakes import on_disk

FOLDER = Path(__file__).resolve().parent.parent / "golden" / "figures"
OPTIONS = Options(n_points=5, n_boot=100)
N_SEEDS = 5


def write() -> None:
    """One CSV for every figure."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        study = on_disk(Path(folder), N_SEEDS)
        for name in known():
            figure(name).table(study, OPTIONS).to_csv(FOLDER / f"{name}.csv", index=False)


if __name__ == "__main__":
    write()
