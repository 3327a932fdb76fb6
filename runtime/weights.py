"""The folder of weights a run trains from; GGUF files are converted once and kept in the cache."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from compiler.cache import cache_folder
from compiler.data.tokenizer import ChatTokenizer
from compiler.diagnostics import Diagnostic, Refusal
from compiler.facts.models import ModelFacts, check_downloaded
from compiler.facts.weight_files import ModelFault
from compiler.phrases import phrase
from compiler.plan import Plan
from runtime.faults import diagnose


def weights_folder(plan: Plan, facts: ModelFacts, tokenizer: ChatTokenizer, announce: Callable[[str], None]) -> Path:
    """Where the base model lies as Transformers loads it, converting or downloading it when needed.

    ``announce`` is told of work that takes more than a second. Raises Refusal (X009).
    """
    if facts.kind == "hub":
        return _download(plan, announce)
    assert facts.path is not None
    if facts.path.is_dir():
        return facts.path
    gguf = next(file for file in plan.model.files if file.path == facts.path.name)
    folder = cache_folder() / "models" / f"{facts.path.stem}-{gguf.sha256[:16]}-{plan.load.kwargs['dtype']}"
    if not (folder / "config.json").is_file():
        announce(phrase("converting {name} to safetensors, once", name=facts.path.name))
        _convert(facts.path, folder, tokenizer, dtype=plan.load.kwargs["dtype"])
    return folder


def _download(plan: Plan, announce: Callable[[str], None]) -> Path:
    from httpx import HTTPError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    model = plan.named_model()
    weights = "pytorch_model*.bin" if plan.pickled_base else "*.safetensors"
    wanted = [weights, "*.json", "*.jinja", "tokenizer*", *(["*.py"] if plan.trust_remote_code else [])]

    def download(*, local_files_only: bool) -> Path:
        return Path(
            snapshot_download(
                plan.model.id,
                revision=plan.model.revision,
                allow_patterns=wanted,
                local_files_only=local_files_only,
            )
        )

    try:
        folder = download(local_files_only=True)
        check_downloaded(model, folder, allow_pickle=plan.pickled_base)
    except (LocalEntryNotFoundError, ModelFault):  # not in the cache, or the small files alone
        announce(phrase("downloading {id}", id=plan.model.id))
    else:
        return folder
    try:
        folder = download(local_files_only=False)
        check_downloaded(model, folder, allow_pickle=plan.pickled_base)
    except ModelFault as fault:
        raise Refusal(Diagnostic("X009", str(fault), help=fault.help)) from fault
    except (OSError, HfHubHTTPError, HTTPError, LocalEntryNotFoundError) as error:
        help_text = phrase("`hf download {id}` where there is a network, then run again", id=plan.model.id)
        raise Refusal(
            Diagnostic(
                "X009", phrase("{id} cannot be downloaded: {error}", id=plan.model.id, error=error), help=help_text
            )
        ) from error
    return folder


def _convert(gguf: Path, folder: Path, tokenizer: ChatTokenizer, *, dtype: str) -> None:
    import torch

    from runtime.loading import load_causal_lm

    folder.parent.mkdir(parents=True, exist_ok=True)
    # Made beside its place and renamed when whole, so that a killed conversion is simply done again.
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with _read_once():
            model = load_causal_lm(gguf.name, gguf.parent, gguf_file=gguf.name, dtype=getattr(torch, dtype))
        # Transformers refuses to save what calls itself GGUF; the weights are plain tensors by now.
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.hf_quantizer = None
        model.is_quantized = False
        model.save_pretrained(draft)
        tokenizer.save(draft)
        _settle(draft, folder)
    except (ValueError, KeyError, NotImplementedError, RuntimeError) as error:
        if diagnose(error, folder.parent).code != "X005":  # no memory or no disk, whatever the file holds
            raise
        help_text = phrase("use the model's safetensors folder instead")
        raise Refusal(
            Diagnostic(
                "X009", phrase("{name} cannot be converted: {error}", name=gguf.name, error=error), help=help_text
            )
        ) from error
    finally:
        if draft.exists():
            shutil.rmtree(draft, ignore_errors=True)


@contextlib.contextmanager
def _read_once() -> Iterator[None]:
    """While it lasts, a GGUF file is read once, and the names of its tensors are made once.

    Transformers reads it for the config and again for the weights, and has gguf make the same names for each module of
    the model: 8 of the 17 s that SmolLM2-135M took.
    """
    import gguf

    reader, names = gguf.GGUFReader, gguf.get_tensor_name_map
    gguf.GGUFReader, gguf.get_tensor_name_map = cache(reader), cache(names)
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map = reader, names


def _settle(draft: Path, folder: Path) -> None:
    """Give a whole draft its place, unless another run has converted the same file meanwhile."""
    try:
        draft.rename(folder)
    except OSError:
        if not (folder / "config.json").is_file():
            raise
