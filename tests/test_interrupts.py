"""Ctrl-C is neither lost nor ill-timed."""

import signal
from contextlib import suppress

import pytest

from lodewell.interrupts import Interrupts, uninterrupted
from lodewell.workers.open import open_workers


@pytest.fixture(autouse=True)
def hearing_ctrl_c():
    """A shell that starts jobs in the background lets them ignore Ctrl-C; not here."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def ctrl_c_that_is_swallowed(task):
    with suppress(KeyboardInterrupt):  # as numba does when a signal arrives while a kernel loads its environment
        signal.raise_signal(signal.SIGINT)
    return task


def test_a_swallowed_interrupt_is_raised_at_the_next_check():
    before = signal.getsignal(signal.SIGINT)
    with Interrupts() as interrupts:
        ctrl_c_that_is_swallowed(1)
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_swallowed_interrupt_is_raised_at_the_end():
    with pytest.raises(KeyboardInterrupt), Interrupts():
        ctrl_c_that_is_swallowed(1)


def test_nothing_is_raised_without_an_interrupt():
    with Interrupts() as interrupts:
        interrupts.check()


def test_work_in_process_stops_after_a_swallowed_interrupt():
    done = []
    with pytest.raises(KeyboardInterrupt), open_workers(1) as pool:
        done.extend(outcome.value for outcome in pool.map(ctrl_c_that_is_swallowed, range(5)))
    assert done == []


def ctrl_c_within_a_kernel(task):
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt as error:
        raise SystemError("a kernel returned a result with an exception set") from error


def test_an_interrupt_that_a_kernel_disguises_is_one_within_other_interrupts_too():
    with pytest.raises(KeyboardInterrupt), Interrupts(), open_workers(1) as pool:
        list(pool.map(ctrl_c_within_a_kernel, range(5)))
    with pytest.raises(KeyboardInterrupt), Interrupts():
        ctrl_c_within_a_kernel(1)


def test_a_fault_that_is_no_interrupt_stays_what_it_is():
    with pytest.raises(SystemError), Interrupts():
        raise SystemError("of another kind")


def test_uninterrupted_raises_only_afterwards():
    with pytest.raises(KeyboardInterrupt):
        interrupted_within(done := [])
    assert done == [1]


def interrupted_within(done):
    with uninterrupted():
        signal.raise_signal(signal.SIGINT)
        done.append(1)
