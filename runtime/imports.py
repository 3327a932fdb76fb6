"""Importing the field's libraries without what a plan has no use for: a run starts a third sooner.

Transformers and PEFT import every optional package they find. bitsandbytes and HQQ compile functions as they are
imported, for which PyTorch loads its whole compiler; scikit-learn is there for a way to generate that nothing here
asks for, SciPy for losses of object detection. Of 7.3 to 8.7 s (two cores of an EPYC, the imports of a plain LoRA run)
these take 2, SciPy half a second more, and looking for garbage among modules, which are none, another one.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator

from compiler.plan import Plan

OPTIONAL = ("bitsandbytes", "hqq", "scipy", "sklearn")


def needless(*plans: Plan) -> list[str]:
    """Optional packages that none of the plans names as its own; Unsloth is left alone."""
    if any(plan.backend == "unsloth" for plan in plans):
        return []
    return [name for name in OPTIONAL if not any(name in plan.packages for plan in plans)]


@contextlib.contextmanager
def importing(*plans: Plan) -> Iterator[None]:
    """What is imported within finds no package that is needless for the plans; what is imported already stays.

    Libraries remember that a package was not there, so this is for a process that works on these plans alone.
    """
    hidden = [name for name in needless(*plans) if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None there: the import system says not found
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
        _ask_peft()
    finally:
        for name in hidden:
            del sys.modules[name]
        gc.freeze()  # no collection looks at modules again
        if collects:
            gc.enable()


def _ask_peft() -> None:
    """Have PEFT look for packages now: it would when it makes its first layer, and remembers what it found."""
    from peft import import_utils

    for is_available in (
        import_utils.is_bnb_available,
        import_utils.is_bnb_4bit_available,
        import_utils.is_hqq_available,
    ):
        is_available()
