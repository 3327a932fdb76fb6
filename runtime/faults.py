"""What an error of a library means for a run: a code, the reason in words, and the way on."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

from compiler.diagnostics import Diagnostic, describe_os_error
from compiler.phrases import phrase

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# How Rust (safetensors, tokenizers) and Python write an operating system's error into a text.
_OS_ERROR = re.compile(r"\(os error (\d+)\)|\[Errno (\d+)\]|No space left on device()")

# torch.save tells a failed write without its reason (caffe2/serialize/inline_container.cc).
_TORCH_WRITE = re.compile(r"PytorchStreamWriter failed|unexpected pos \d+ vs \d+")

# PyTorch's allocator of main memory (c10/core/impl/alloc_cpu.cpp) and oneDNN's.
_NO_MEMORY = re.compile(r"can't allocate memory|not enough memory|could not create a memory object|CUDA out of memory")

_SMALLER = phrase("set a smaller per_device_train_batch_size in [training]; accumulation keeps the effective batch")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed: on a GPU (torch.OutOfMemoryError) or of main memory."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error)) is not None


def diagnose(error: BaseException, folder: Path) -> Diagnostic:
    """The diagnostic of whatever came up while a run in ``folder`` was executed."""
    if is_out_of_memory(error):
        return Diagnostic("X006", phrase("out of memory: {first_line}", first_line=first_line(error)), help=_SMALLER)
    number = _os_error_number(error, folder)
    if number in NO_ROOM:
        help_text = phrase("free some space, then `recipe resume`: it goes on from the last checkpoint")
        return Diagnostic("E004", phrase("writing the run: {strerror}", strerror=os.strerror(number)), help=help_text)
    if number:
        place = getattr(error, "filename", None) or folder
        return describe_os_error(OSError(number, os.strerror(number)), place, doing=phrase("executing the run"))
    help_text = phrase("the traceback is in the run's output.log")
    return Diagnostic("X005", f"{type(error).__name__}: {first_line(error)}", help=help_text)


def no_room_error(error: BaseException, folder: Path) -> int | None:
    """The system's number of an error that says that a disk, a quota or a limit is used up; None for any other."""
    number = 0 if is_out_of_memory(error) else _os_error_number(error, folder)
    return number if number in NO_ROOM else None


def first_line(error: BaseException) -> str:
    """The first line of an error's text, cut to what fits a message."""
    lines = str(error).strip().splitlines() or [""]
    return lines[0][:400]


def _os_error_number(error: BaseException, folder: Path) -> int:
    """The operating system's number behind an error of any library; 0 when there is none."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = _OS_ERROR.search(str(error))
    if found is not None:
        return int(found[1] or found[2] or errno.ENOSPC)
    if _TORCH_WRITE.search(str(error)):
        return errno.ENOSPC if _is_full(folder) else errno.EIO
    return 0


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < 64 << 20
    except OSError:
        return False
