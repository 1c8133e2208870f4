"""Stand-ins for models, small enough to see through: scripted ones, and tiny real ones (torch only when asked for)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from luthier.records import AnswerScore, Completion, Example, Message, Preference, Sampling


class ScriptedGenerate:
    """A `Generate` that says what a function of the example says, and remembers which examples it was asked."""

    def __init__(self, answer: Callable[[Example], str], *, model_id: str = "model") -> None:
        self.answer = answer
        self.model_id = model_id
        self.asked: list[str] = []

    def __call__(self, examples: Sequence[Example], sampling: Sampling) -> list[Completion]:
        self.asked += [example.id for example in examples]
        return [
            Completion.of(
                example_id=example.id,
                model_id=self.model_id,
                text=self.answer(example),
                sample=sample,
                token_ids=tuple(range(len(self.answer(example)) + 1)),
            )
            for example in examples
            for sample in range(sampling.num_samples)
        ]


class ScriptedScore:
    """A `Score` whose log-likelihood is a function of the example and the answer; one token a character."""

    def __init__(self, logprob: Callable[[Example, str], float]) -> None:
        self.logprob = logprob
        self.asked: list[str] = []

    def __call__(self, examples: Sequence[Example], candidates: Sequence[Sequence[str]]) -> list[list[AnswerScore]]:
        self.asked += [example.id for example in examples]
        return [
            [AnswerScore(self.logprob(example, text), len(text), len(text.encode())) for text in texts]
            for example, texts in zip(examples, candidates, strict=True)
        ]


# Tiny models: random weights in the shapes that people tune, with a chat format of each kind.
#
#   shape    positions  tied  chat format
#   llama    rotary     yes   Luthier's own: generation markers, no BOS, an end token after every turn
#   qwen3    rotary     yes   ChatML without markers; the reasoning of earlier turns is dropped (history is rewritten)
#   gemma3   rotary     yes   BOS in the template, the turn's end is not the end-of-sequence token, no system role;
#                             every other layer sees a sliding window of 24 tokens
#   gpt2     learned    yes   none: the plain template is added; BOS is the end-of-sequence token
SHAPES = ("llama", "qwen3", "gemma3", "gpt2")

# Six more, for what depends on the architecture. Their head is untied, and they speak Llama's chat format.
#
#   shape      positions  what is particular
#   mistral    rotary     every layer sees a sliding window of 24 tokens
#   phi3       rotary     query, key and value in one projection, gate and up in another
#   olmo2      rotary     norms after attention and feed-forward, none before
#   gpt_neox   rotary     on a quarter of each head; attention and feed-forward side by side; biases; layer norm
#   qwen3_moe  rotary     four experts, two a token
#   mixtral    rotary     the same with another router
ALL_SHAPES = (*SHAPES, "mistral", "phi3", "olmo2", "gpt_neox", "qwen3_moe", "mixtral")

TINY_TEXT = (
    "the shop opens at nine and closes at six. where is my order? it left the house on monday.",
    "please tell me the price of the blue lamp. the blue lamp costs twelve coins. thank you for asking.",
    "User: Assistant: System: can i return it? yes, you can return it within thirty days, 1 2 3 4 5 6 7 8 9 0.",
    "Ünïcödé: 日本語 のテキスト, emoji 😀, tabs\tand\nnewlines\n\nand 'quotes' (brackets) [square] {curly} <angle>.",
)

QWEN3_TEMPLATE = (
    "{%- set ns = namespace(last=-1) -%}"
    "{%- for m in messages -%}{%- if m.role == 'user' -%}{%- set ns.last = loop.index0 -%}{%- endif -%}{%- endfor -%}"
    "{%- for m in messages -%}"
    "{{- '<|im_start|>' + m.role + '\n' -}}"
    "{%- if m.role == 'assistant' and loop.index0 < ns.last and '</think>' in m.content -%}"
    "{{- m.content.split('</think>')[-1].lstrip('\n') -}}"
    "{%- else -%}{{- m.content -}}{%- endif -%}"
    "{{- '<|im_end|>\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)
GEMMA3_TEMPLATE = (
    "{{- bos_token -}}"
    "{%- for m in messages -%}"
    "{%- if m.role == 'system' -%}{{- raise_exception('System role not supported') -}}{%- endif -%}"
    "{{- '<start_of_turn>' + ('model' if m.role == 'assistant' else 'user') + '\n' -}}"
    "{{- m.content -}}{{- '<end_of_turn>\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<start_of_turn>model\n' -}}{%- endif -%}"
)
TINY_FORMATS: dict[str, dict[str, Any]] = {
    "qwen3": {"special": ["<|im_start|>", "<|im_end|>"], "eos": "<|im_end|>", "template": QWEN3_TEMPLATE},
    "gemma3": {
        "special": ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"], "bos": "<bos>", "eos": "<eos>",
        "template": GEMMA3_TEMPLATE,
    },
    "gpt2": {"special": ["<|endoftext|>"], "bos": "<|endoftext|>", "eos": "<|endoftext|>", "template": None},
}  # fmt: skip


def tiny_tokenizer(shape: str = "llama", *, vocabulary: int = 400, positions: int = 256) -> Any:
    """A byte-level BPE tokenizer trained on `TINY_TEXT`, with the special tokens and chat template of the shape."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from luthier.models.build import train_tokenizer

    if shape not in TINY_FORMATS:
        return train_tokenizer(TINY_TEXT, vocabulary=vocabulary, positions=positions)
    form = TINY_FORMATS[shape]
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=form["special"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    backend.train_from_iterator(TINY_TEXT, trainer)
    names = {f"{kind}_token": form[kind] for kind in ("bos", "eos") if kind in form}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=positions, **names)
    if form["template"]:
        tokenizer.chat_template = form["template"]
    return tokenizer


def tiny_network(
    shape: str = "llama", *, vocabulary: int = 400, positions: int = 256, seed: int = 0, spread: float = 0.2,
    dropout: float = 0.0, layers: int = 2,
) -> Any:  # fmt: skip
    """A random network of the shape (`ALL_SHAPES`), 32 wide. `spread`, ten times the usual, makes context matter."""
    import torch
    import transformers

    torch.manual_seed(seed)
    config = tiny_config(shape, vocab_size=vocabulary, initializer_range=spread, dropout=dropout, layers=layers,
                         positions=positions)  # fmt: skip
    return transformers.AutoModelForCausalLM.from_config(config)


def tiny_config(shape: str, *, positions: int, layers: int, dropout: float, **sizes: Any) -> Any:
    """The config of a tiny network."""
    import transformers

    sizes |= {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    if shape == "gpt2":
        return transformers.GPT2Config(
            **sizes, n_embd=32, n_inner=64, n_layer=layers, n_head=4, n_positions=positions,
            resid_pdrop=dropout, embd_pdrop=dropout, attn_pdrop=dropout,
        )  # fmt: skip
    sizes |= {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": layers, "num_attention_heads": 4,
        "max_position_embeddings": positions, "attention_dropout": dropout, "tie_word_embeddings": shape in SHAPES,
    }  # fmt: skip
    if shape == "gpt_neox":
        return transformers.GPTNeoXConfig(**sizes, hidden_dropout=dropout)
    sizes |= {"num_key_value_heads": 2}
    if shape == "phi3":
        return transformers.Phi3Config(**sizes, resid_pdrop=dropout, embd_pdrop=dropout)
    if shape == "olmo2":
        return transformers.Olmo2Config(**sizes)
    sizes |= {"head_dim": 8}
    if shape == "gemma3":
        kinds = ["sliding_attention", "full_attention"]
        return transformers.Gemma3TextConfig(
            **sizes, sliding_window=24, layer_types=[kinds[n % 2] for n in range(layers)]
        )
    kinds_of_config = {
        "llama": (transformers.LlamaConfig, {}),
        "qwen3": (transformers.Qwen3Config, {}),
        "mistral": (transformers.MistralConfig, {"sliding_window": 24}),
        "qwen3_moe": (transformers.Qwen3MoeConfig, {"num_experts": 4, "num_experts_per_tok": 2,
                                                    "moe_intermediate_size": 32, "norm_topk_prob": True}),
        "mixtral": (transformers.MixtralConfig, {"num_local_experts": 4, "num_experts_per_tok": 2}),
    }  # fmt: skip
    kind, particular = kinds_of_config[shape]
    return kind(**sizes, **particular)


def write_tiny_model(folder: Path, shape: str = "llama", *, positions: int = 256, **network: Any) -> Path:
    """Write a tiny random model of the shape (`ALL_SHAPES`) in Hugging Face layout; returns the folder."""
    tokenizer = tiny_tokenizer(shape, positions=positions)
    tiny_network(shape, vocabulary=len(tokenizer), positions=positions, **network).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_examples(number: int = 16, *, turns: int = 1) -> list[Example]:
    """Conversations whose answers differ much in length: from one word to the whole refrain, seeded by their number."""
    refrain = ["the", "blue", "lamp", "costs", "twelve", "coins", "and", "left", "the", "house", "on", "monday"]
    rows = []
    for n in range(number):
        messages = []
        for turn in range(turns):
            question = " ".join(refrain[(n + turn) % 5 : (n + turn) % 5 + 1 + n % 4]) + f"? {n}"
            answer = " ".join(refrain[: 1 + (n * n + turn) % len(refrain)]) + f" {n}"
            messages += [Message(role="user", content=question), Message(role="assistant", content=answer)]
        rows.append(Example.of(messages, source=f"tiny.jsonl:{n + 1}"))
    return rows


def tiny_preferences(number: int = 16) -> list[Preference]:
    """Pairs whose answers differ much in length, the better one longer in half of them."""
    rows = []
    for n, example in enumerate(tiny_examples(number)):
        answers = (example.targets[0], f"no {n}")
        chosen, rejected = answers if n % 2 else answers[::-1]
        rows.append(Preference.of(example.prompt, chosen=chosen, rejected=rejected, source=example.source))
    return rows


@contextmanager
def training_calls(module: Any) -> Iterator[list[None]]:
    """Inside, each call of the module that a gradient is taken of adds to the list, but for those that try the model."""
    import torch

    from luthier.train import training

    calls: list[None] = []
    settle, tries = training.settle, []

    def trying(*given: Any, **named: Any) -> Any:
        tries.append(None)
        try:
            return settle(*given, **named)
        finally:
            tries.pop()

    training.settle = trying
    hook = module.register_forward_pre_hook(
        lambda *_: calls.append(None) if torch.is_grad_enabled() and not tries else None
    )
    try:
        yield calls
    finally:
        hook.remove()
        training.settle = settle


class TinyRun:
    """One call of `train` in a folder of its own, and everything that can be seen of it afterwards."""

    def __init__(
        self, model: Any, folder: Path, *, grade_all: Any = None, grade_dev: Any = None, data: Any = None,
        **options: Any,
    ) -> None:  # fmt: skip
        from luthier.runs import Run
        from luthier.train.config import TrainConfig
        from luthier.train.documents import read_documents
        from luthier.train.training import Place, TrainingData, train

        self.lines: list[str] = []
        self.model = model
        self.config = TrainConfig(**options)
        run = Run.open(folder, self.config, echo=self.lines.append)
        self.place = Place(run=run, folder=folder / "train", key="key of this run")
        data = data or TrainingData(
            examples=tiny_examples(16), dev=tiny_examples(20)[16:], preferences=tiny_preferences(8),
            documents=[*TINY_TEXT], dev_documents=["the blue lamp"],
            text=read_documents(self.config.text.files) if self.config.text.files else (),
        )  # fmt: skip
        with training_calls(model.network) as forwards:
            self.trained = train(
                model, data, self.config, place=self.place, grade_all=grade_all, grade_dev=grade_dev
            )
        self.num_forwards = len(forwards)
        """Forward passes that a gradient is taken of."""

    def events(self, kind: str = "train") -> list[dict[str, Any]]:
        """The events of metrics.jsonl without their timings."""
        rows = [json.loads(line) for line in (self.place.run.folder / "metrics.jsonl").read_text().splitlines()]
        return [{k: v for k, v in row.items() if k not in ("train/tokens_per_s", "train/memory_gib")} for row in rows if row["kind"] == kind]

    def column(self, name: str) -> list[Any]:
        """One metric over the steps."""
        return [event[name] for event in self.events()]
