"""How a tuned model is used once its run is over: with recipec, in Python, and what it needs."""

from __future__ import annotations

from compiler.phrases import phrase
from compiler.plan import Plan
from runtime.run_folder import RunFolder


def how_to_use(run: RunFolder, plan: Plan) -> list[tuple[str, str]]:
    """What for, and the lines to type."""
    ways = [
        (phrase("Talk to it"), f"recipe chat {run.id}"),
        (phrase("Answers for a program"), f"echo 'Une question ?' | recipe generate {run.id} --json"),
        (phrase("Compare it with its base"), f"recipe eval {run.id}"),
    ]
    if plan.method == "full":
        code = (
            "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
            f'model = AutoModelForCausalLM.from_pretrained("{run.model}")\n'
            f'tokenizer = AutoTokenizer.from_pretrained("{run.model}")'
        )
    else:
        base = plan.model.id if plan.model.kind == "hub" else "the-base"
        code = (
            "from peft import PeftModel\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
            f'base = AutoModelForCausalLM.from_pretrained("{base}")\n'
            f'model = PeftModel.from_pretrained(base, "{run.adapter}")\n'
            f'tokenizer = AutoTokenizer.from_pretrained("{run.adapter}")'
        )
    return [*ways, (phrase("In Python"), code)]
