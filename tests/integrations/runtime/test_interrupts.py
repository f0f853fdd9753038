import os
import signal
import threading

import pytest

from spectral_select.integrations.runtime import interrupts as interrupt
from spectral_select.integrations.runtime.distributed import Ranks
from spectral_select.integrations.runtime.interrupts import Interrupt, interrupt_held


def press():
    os.kill(os.getpid(), signal.SIGINT)


def test_second_interrupt_stops_at_once(monkeypatch, capsys):
    now = iter([10.0, 10.5, 11.5])
    monkeypatch.setattr(interrupt, "monotonic", lambda: next(now))
    with Interrupt() as stop:
        assert not stop.asked()
        press()
        assert stop.asked()
        press()  # the same Ctrl-C, forwarded by torchrun
        assert stop.asked()
        with pytest.raises(KeyboardInterrupt):
            press()
    assert capsys.readouterr().err.count("stopping after this step") == 1


def test_signal_handler_is_restored():
    before = signal.getsignal(signal.SIGINT)
    with Interrupt():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_other_threads_do_not_change_the_handler():
    found = []

    def look():
        with Interrupt() as stop:
            found.append((signal.getsignal(signal.SIGINT), stop.asked()))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [(signal.getsignal(signal.SIGINT), False)]


def test_several_ranks_agree_at_the_same_call(monkeypatch):
    agreed = []
    monkeypatch.setattr(Ranks, "any", lambda self, flag: agreed.append(flag) or True)
    stop = Interrupt(Ranks(2, 1))
    answers = [stop.asked() for _ in range(32)]
    assert [number for number, answer in enumerate(answers, start=1) if answer] == [16, 32]
    assert stop.asked(every_call=True)
    assert agreed == [False] * 3


def test_held_interrupt_is_raised_at_the_end_but_not_in_a_child():
    done = []
    with pytest.raises(KeyboardInterrupt), interrupt_held():  # noqa: PT012
        child = os.fork()
        if not child:
            os.kill(os.getpid(), signal.SIGINT)
            os._exit(7)
        done.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os.kill(os.getpid(), signal.SIGINT)
        done.append("went on")
    assert done == [7, "went on"]


def test_existing_handlers_get_held_interrupts():
    heard = []
    old = signal.signal(signal.SIGINT, lambda *_: heard.append(True))
    try:
        with interrupt_held():
            os.kill(os.getpid(), signal.SIGINT)
            assert not heard
        assert heard == [True]
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with interrupt_held():
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, old)
