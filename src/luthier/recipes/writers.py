"""The writer that a recipe names: an endpoint, or a model folder of one's own through the same interface."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from luthier.asking.asker import Ask, Budget, Failed, Outcome, Reply, Writer, mended
from luthier.asking.config import WriterConfig
from luthier.models.folders import resolve
from luthier.records import Example, Sampling, content_id


def writer_of(config: WriterConfig, *, seed: int, say: Callable[[str], None], where: str = "writer") -> Writer:
    """The writer; ConfigError or ModelError before anything is asked where there is none."""
    if config.base_url is None:
        return local_writer(config, seed=seed, say=say, where=where)
    from luthier.asking.endpoint import endpoint

    return endpoint(config, seed=seed, where=where)


def local_writer(config: WriterConfig, *, seed: int, say: Callable[[str], None], where: str = "writer") -> Writer:
    """The model in a folder, asked through its chat template."""
    folder = resolve(config.model)

    from luthier.models.generate import generator
    from luthier.models.load import load_model
    from luthier.models.protocols import chat_protocol

    model = load_model(folder)
    for notice in model.notices:
        say(notice)
    protocol = chat_protocol(model)
    generate = generator(model, protocol=protocol, batch_rows=config.batch_rows)

    def batch(chosen: Sequence[tuple[int, Ask]], draw: int) -> Iterator[tuple[int, Outcome]]:
        sampling = Sampling(
            max_new_tokens=config.max_tokens, temperature=config.temperature, top_p=config.top_p, seed=seed + draw
        )
        examples = [Example.of(ask.messages) for _, ask in chosen]
        lengths = [len(protocol.prompt(example)) for example in examples]
        fits = [n for n, length in enumerate(lengths) if length < model.max_length - 1]
        for n in sorted({*range(len(chosen))} - {*fits}):
            problem = f"the prompt is too long: {lengths[n]:,} tokens, for a model of {model.max_length:,} positions"
            yield chosen[n][0], Failed(problem)
        for n, completion in zip(fits, generate([examples[n] for n in fits], sampling), strict=True):
            is_cut = completion.finish_reason == "length"
            yield chosen[n][0], Reply(mended(completion.text), is_cut, lengths[n], len(completion.token_ids))

    def answer(asks: Sequence[Ask], budget: Budget) -> Generator[tuple[int, Outcome], None, None]:
        # Requests of the same words differ by their draw alone, which is a seed of a batch's own.
        numbered = sorted(enumerate(asks), key=lambda item: item[1].draw)
        for draw, group in groupby(numbered, key=lambda item: item[1].draw):
            some = list(group)
            for first in range(0, len(some), config.batch_rows):
                chosen = [item for item in some[first : first + config.batch_rows] if budget.take(item[1])]
                for number, outcome in batch(chosen, draw) if chosen else ():
                    budget.end(asks[number], outcome)
                    yield number, outcome

    identity = content_id(model.digest, config.temperature, config.top_p, config.max_tokens, seed)
    return Writer(name=Path(config.model).name, identity=identity, answer=answer, where=where)
