"""Another program's training run with a clock in it, by the Python of that program's own environment.

``python clocked.py axolotl|llamafactory CONFIG RESULT`` trains as ``axolotl train CONFIG --launcher python`` and
``llamafactory-cli train CONFIG`` do, and writes RESULT, one JSON object: the tokens of all steps that are no padding,
those that are learnt, the seconds in steps, when the first step began, the losses, and the peak memory in bytes.
"""

import json
import resource
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

IGNORED = -100
"""The label of what is not learnt (Transformers)."""
ENTRIES = {"axolotl": ("axolotl.cli.train", "do_cli"), "llamafactory": ("llamafactory.train.tuner", "run_exp")}
"""What each program's command calls once it knows that there is one device."""


def clock(result: Path) -> Any:
    """A Trainer's callback that counts what goes through the model and writes ``result`` at the end."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.tokens = self.learnt = 0
            self.seconds = 0.0
            self.began: list[float] = []

        def on_train_begin(self, *_: Any, model: Any, **__: Any) -> None:
            model.register_forward_pre_hook(self.count, with_kwargs=True)

        def count(self, _model: Any, _args: Any, batch: dict[str, Any]) -> None:
            self.tokens += int(batch["attention_mask"].ne(0).sum())
            self.learnt += int(batch["labels"].ne(IGNORED).sum())

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began.append(time.time())
            self.started = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.seconds += time.perf_counter() - self.started

        def on_train_end(self, _args: Any, state: Any, *_: Any, **__: Any) -> None:
            measured = {
                "tokens": self.tokens,
                "learnt": self.learnt,
                "seconds": self.seconds,
                "first_step": self.began[0],
                "losses": [entry["loss"] for entry in state.log_history if "loss" in entry],
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
            result.write_text(json.dumps(measured), encoding="utf-8")

    return Clock


def main(program: str, config: str, result: Path) -> None:
    """Train."""
    module, name = ENTRIES[program]
    sys.argv = [program, config]  # where LLaMA-Factory looks
    sys.path.append(
        str(Path(__file__).parent)
    )  # where Axolotl finds its plugin; last, so that nothing here hides theirs
    train = getattr(import_module(module), name)
    # After the program: it may patch Transformers before anything of it is used.
    from transformers import trainer

    trainer.DEFAULT_CALLBACKS.append(clock(result))
    if program == "axolotl":
        train(config)
    else:
        train()


if __name__ == "__main__":  # both start workers that import this file again
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
