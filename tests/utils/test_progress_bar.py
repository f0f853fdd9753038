import sys

from spectral_select._utils.progress_bar import progress_bar


def test_is_silent_without_tqdm(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with progress_bar(3, enabled=True) as bar:
        bar.update(2)
        bar.set_postfix(loss=1)
        bar.close()
    assert capsys.readouterr().err == ""
