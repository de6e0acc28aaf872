"""The only door of the harness: `python run.py task=adult optimizer=bohb`. Options: `python run.py --help`."""

if __name__ == "__main__":  # every child of a run imports this file, too
    from experiments.harness import door, main

    door.enter(main)
