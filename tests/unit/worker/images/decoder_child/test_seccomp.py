"""The filter of system calls for both processors, run by an interpreter of its instructions."""

import struct

import pytest

from worker.images.decoder_child import seccomp

KILL, ALLOW, EPERM = 0x8000_0000, 0x7FFF_0000, 0x0005_0001
AUDIT = (0xC000_003E, 0xC000_00B7)
ANONYMOUS, SHARED = 0x22, 0x01
READ_WRITE, EXECUTE = 3, 4


def verdict(processor: int, call: int, *arguments: int, audit: int | None = None) -> int:
    """What the kernel would do about a call: classic BPF over struct seccomp_data."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    held = struct.pack("=IIQ6Q", call, AUDIT[processor] if audit is None else audit, 0, *padded)
    program = [struct.unpack("=HBBI", one) for one in seccomp.program(processor)]
    place = accumulator = 0
    while True:
        code, then, otherwise, value = program[place]
        if code == 0x06:
            return int(value)
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", held, value)
            place += 1
            continue
        holds = {
            0x15: accumulator == value,
            0x35: accumulator >= value,
            0x45: bool(accumulator & value),
        }[code]
        place += 1 + (then if holds else otherwise)


@pytest.mark.parametrize("processor", [0, 1])
def test_calls_are_allowed_deadly_or_refused(processor: int) -> None:
    """By the lists; what is on none of them is refused."""
    allowed = {numbers[processor] for numbers in seccomp.ALLOWED.values()}
    deadly = {numbers[processor] for numbers in seccomp.DEADLY.values()}
    by_argument = {seccomp.MMAP[processor], seccomp.MPROTECT[processor]}
    verdicts = {call: verdict(processor, call) for call in range(600)}
    assert {call for call, said in verdicts.items() if said == ALLOW} == (
        allowed | {seccomp.MPROTECT[processor]}
    )
    assert {call for call, said in verdicts.items() if said == KILL} == deadly
    rest = set(verdicts) - allowed - deadly - by_argument
    assert {verdicts[call] for call in rest} == {EPERM}


@pytest.mark.parametrize("processor", [0, 1])
def test_memory_is_of_no_file_and_never_code(processor: int) -> None:
    """By the arguments of mmap and mprotect."""
    mmap, mprotect = seccomp.MMAP[processor], seccomp.MPROTECT[processor]
    assert verdict(processor, mmap, 0, 4096, READ_WRITE, ANONYMOUS) == ALLOW
    assert verdict(processor, mmap, 0, 4096, READ_WRITE | EXECUTE, ANONYMOUS) == EPERM
    assert verdict(processor, mmap, 0, 4096, READ_WRITE, SHARED, 5) == EPERM
    assert verdict(processor, mprotect, 0, 4096, READ_WRITE) == ALLOW
    assert verdict(processor, mprotect, 0, 4096, EXECUTE) == EPERM


@pytest.mark.parametrize("processor", [0, 1])
def test_the_calls_of_another_processor_are_deadly(processor: int) -> None:
    """32-bit programs have other numbers for the same calls, and x32 a second table."""
    assert verdict(processor, seccomp.ALLOWED["read"][processor], audit=0x4000_0003) == KILL
    assert verdict(processor, 0x4000_0000) == KILL
