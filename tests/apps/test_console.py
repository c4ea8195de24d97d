from __future__ import annotations

import pytest
from rich.table import Table

from realtime_kp.apps.console import PlainConsole


def test_a_table_in_a_pipe_is_not_cut_at_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = [f"a figure of a method {number}" for number in range(5)]
    monkeypatch.delenv("COLUMNS", raising=False)
    PlainConsole().print(Table(*heads))
    printed = capsys.readouterr().out
    assert all(head in printed for head in heads)
    monkeypatch.setenv("COLUMNS", "60")
    PlainConsole().print(Table(*heads))
    assert max(len(line) for line in capsys.readouterr().out.splitlines()) == 60
