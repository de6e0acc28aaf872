"""What the README shows runs."""

import re
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def test_the_python_of_the_readme_runs(capsys):
    """As it stands, but for a budget of seconds, of which a part is enough."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) >= 4
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block.replace("seconds=60", "seconds=30"), str(README), "exec"), names)
    assert capsys.readouterr().out.count("\n") >= 8
