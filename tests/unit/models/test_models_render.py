"""What the model sees of a row, and which of its tokens train."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import GEMMA3_TEMPLATE, QWEN3_TEMPLATE, SHAPES, tiny_tokenizer
from luthier.errors import ModelError
from luthier.models.build import CHAT_TEMPLATE
from luthier.models.render import Renderer, fit, plain_template
from luthier.records import Example, Message

GOLDEN = Path(__file__).with_name("golden_rows.json")

TRICKY = [
    "",
    " ",
    "\n",
    "\n\n",
    "  two",
    " lead",
    "trail ",
    "日本語",
    "é",
    "😀👍🏽",
    "don't",
    "1 2",
    "\r\n",
    "\t",
    "\u200b",
    "U+2028\u2028",
]
SPECIALS = ["<|end|>", "<|user|>", "<|assistant|>", "<|im_end|>", "<|im_start|>assistant\n", "<end_of_turn>", "Assistant:\n",
            "<|endoftext|>", "<start_of_turn>model\n", "{% generation %}", "{{ eos_token }}", "User:\n"]  # fmt: skip
contents = st.lists(st.sampled_from([*TRICKY, "the shop", "opens", "\n\nat nine", "."]), max_size=5).map("".join)
hostile = st.lists(st.sampled_from(SPECIALS + TRICKY), max_size=5).map("".join)
renderers = dict.fromkeys(SHAPES)


def conversation(*contents: str) -> list[Message]:
    """User and assistant in turn."""
    return [Message(role=("user", "assistant")[i % 2], content=text) for i, text in enumerate(contents)]


def trained_text(renderer, row) -> str:
    return renderer.tokenizer.decode([t for t, w in zip(row.token_ids, row.weights, strict=True) if w > 0])


def renderer_of(shape: str, template: str | None = None) -> Renderer:
    if template is None:
        renderers[shape] = renderers[shape] or _renderer(shape, None)
        return renderers[shape]
    return _renderer(shape, template)


def _renderer(shape, template):
    tokenizer = tiny_tokenizer(shape)
    tokenizer.chat_template = template or tokenizer.chat_template or plain_template(tokenizer, name="tiny")
    return Renderer(tokenizer, name="tiny")


def end_of(shape: str) -> str:
    return {"llama": "<|end|>", "qwen3": "<|im_end|>", "gemma3": "<end_of_turn>", "gpt2": "<|endoftext|>"}[shape]


def test_trained_tokens_are_the_assistant_turns_and_their_stop_tokens(shape):
    """All-zero or all-one weights: with generation markers (llama) and without (the others)."""
    renderer = renderer_of(shape)
    rows = renderer.render(conversation("where is it?", "on its way", "thanks", "you are welcome"))
    assert len(rows) == 1
    end = end_of(shape)
    assert trained_text(renderer, rows[0]) == f"on its way{end}you are welcome{end}"


def test_same_rows_with_and_without_generation_markers():
    """Templates without generation markers: markers change nothing but where training may begin."""
    bare = CHAT_TEMPLATE.replace("{% generation %}", "").replace("{% endgeneration %}", "")
    rows = conversation("a", "b", "c", "d\n\nd", "e", "")
    assert renderer_of("llama").render(rows) == renderer_of("llama", bare).render(rows)


def test_a_marker_around_the_content_alone_still_trains_the_stop_token():
    """The marker ends before the stop token, the trained span does not."""
    narrow = CHAT_TEMPLATE.replace(
        "{% generation %}{{ message['content'] + '<|end|>' }}{% endgeneration %}",
        "{% generation %}{{ message['content'] }}{% endgeneration %}{{ '<|end|>' }}",
    )
    assert narrow != CHAT_TEMPLATE
    rows = conversation("a", "b", "c", "d")
    assert renderer_of("llama", narrow).render(rows) == renderer_of("llama").render(rows)


def test_a_marker_that_begins_late_keeps_what_precedes_it_out_of_training():
    """Text that the template puts before the marked part of an answer carries no weight."""
    late = CHAT_TEMPLATE.replace("{% generation %}{{", "{{ '<note>' }}{% generation %}{{")
    row = renderer_of("llama", late).render(conversation("a", "b", "c", "d"))[0]
    assert trained_text(renderer_of("llama"), row) == "b<|end|>d<|end|>"
    assert row.text.count("<note>") == 2


def test_a_marker_around_the_role_token_does_not_train_the_role_token():
    """A model never writes the tokens of its own generation prompt, so they never train."""
    wide = (
        "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ '<|assistant|>' + m.content + '<|end|>' }}"
        "{% endgeneration %}{% else %}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
    )
    rows = conversation("a", "b", "c", "d")
    assert renderer_of("llama", wide).render(rows) == renderer_of("llama").render(rows)


def test_the_last_weight_of_every_trained_turn_is_on_the_stop_token(shape):
    """The stop token is never learned."""
    renderer = renderer_of(shape)
    row = renderer.render(conversation("one", "1", "two", "2 2", "three", ""))[0]
    ends = [t for t, w in enumerate(row.weights) if w > 0 and (t + 1 == len(row.weights) or row.weights[t + 1] == 0)]
    assert len(ends) == 3
    assert {row.token_ids[t] for t in ends} <= renderer.stop_ids
    assert {row.token_ids[t] for t in ends} == {renderer.tokenizer.convert_tokens_to_ids(end_of(shape))}


def test_an_answer_that_quotes_the_stop_token_trains_to_its_own_end(shape):
    """The text of a stop token inside an answer does not end its weights early."""
    renderer, end = renderer_of(shape), end_of(shape)
    row = renderer.render(conversation("how does it end?", f"with {end} as ever", "and?", "so"))[0]
    assert trained_text(renderer, row) == f"with {end} as ever{end}so{end}"


def test_stop_ids_are_the_end_of_sequence_and_what_the_template_writes_after_an_answer(tiny):
    """Gemma's turns end with a token that is not its end-of-sequence token; both stop."""
    names = {s: sorted(map(tiny(s).tokenizer.convert_ids_to_tokens, tiny(s).renderer.stop_ids)) for s in SHAPES}
    assert names == {
        "llama": ["<|end|>"], "qwen3": ["<|im_end|>"], "gemma3": ["<end_of_turn>", "<eos>"], "gpt2": ["<|endoftext|>"],
    }  # fmt: skip


def test_a_stop_token_whose_name_holds_the_probe_letter_is_found():
    """The search for the stop token begins at the answer, whatever letters the token is spelled with."""
    tokenizer = tiny_tokenizer("gemma3")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|bob|>"]})
    tokenizer.chat_template = GEMMA3_TEMPLATE.replace("<end_of_turn>", "<|bob|>")
    assert tokenizer.convert_tokens_to_ids("<|bob|>") in Renderer(tokenizer, name="x").stop_ids


def test_message_weights_scale_or_silence_a_turn(shape):
    renderer = renderer_of(shape)
    rows = [
        Message(role="user", content="a"), Message(role="assistant", content="b", weight=0.0),
        Message(role="user", content="c"), Message(role="assistant", content="d", weight=0.5),
    ]  # fmt: skip
    row = renderer.render(rows)[0]
    assert set(row.weights) == {0.0, 0.5}
    assert trained_text(renderer, row) == "d" + end_of(shape)
    assert row.num_trained == sum(w > 0 for w in row.weights)


@settings(max_examples=60)
@given(question=hostile, answer=st.sampled_from(["yes", "no\n", " 日本"]))
@pytest.mark.parametrize("name", SHAPES)
def test_marker_text_in_user_content_does_not_move_the_weights(name, question, answer):
    """Masks by searching marker strings: whatever a user writes, exactly the answer and its stop train."""
    renderer = renderer_of(name)
    row = renderer.render(conversation(question, answer))[0]
    assert trained_text(renderer, row) == answer + end_of(name)
    first = next(t for t, w in enumerate(row.weights) if w > 0)
    assert row.text[: row.offsets[first][0]] == renderer.text(conversation(question), add_generation_prompt=True)


@settings(max_examples=120)
@given(turns=st.lists(st.tuples(contents, contents), min_size=1, max_size=3))
@pytest.mark.parametrize("name", SHAPES)
def test_a_served_prompt_has_the_tokens_of_the_trained_prompt(name, turns):
    """Prompt and answer tokenised apart: the ids at serving begin the ids at training, at every turn."""
    _check_served_is_trained(renderer_of(name), turns)


@settings(max_examples=120)
@given(turns=st.lists(st.tuples(contents, contents), min_size=1, max_size=3))
@pytest.mark.parametrize("ending", ["\n\n", ": ", "", "->"])
def test_a_generation_prompt_that_ends_mid_token_is_cut_as_it_is_served(ending, turns):
    """White space and bare text at the border merge with the answer; the row is cut where serving cuts."""
    template = (
        "{% for m in messages %}{{ 'U: ' + m.content + '\n' if m.role == 'user' else 'A' + ENDING + m.content + eos_token }}"
        "{% endfor %}{% if add_generation_prompt %}{{ 'A' + ENDING }}{% endif %}"
    ).replace("ENDING", json.dumps(ending))
    _check_served_is_trained(_cached("gpt2", template), turns)


_made: dict[str, Renderer] = {}


def _cached(shape, template):
    return _made.setdefault(template, _made.get(template) or renderer_of(shape, template))


def _check_served_is_trained(renderer, turns):
    flat = conversation(*(text for turn in turns for text in turn))
    rows = renderer.render(flat)
    assert len(rows) in (1, len(turns))
    answers = 0
    for index in range(1, len(flat), 2):
        prompt = tuple(renderer.prompt(flat[:index]))
        row = rows[0] if len(rows) == 1 else rows[index // 2]
        assert row.token_ids[: len(prompt)] == prompt
        assert row.weights[len(prompt)] > 0  # the first token that is not in the prompt is the first that trains
        if len(rows) > 1 or index == 1:
            assert not any(row.weights[: len(prompt)])
        end = next(t for t in range(len(prompt), len(row.weights) + 1) if t == len(row.weights) or row.weights[t] == 0)
        assert renderer.decode(row.token_ids[len(prompt) : end]) == flat[index].content
        answers += 1
    assert answers == len(turns)


def test_stories260k_served_prompts_have_the_tokens_of_trained_ones(real_data):
    """For a tokenizer that puts a space before whatever it is given (SentencePiece style)."""
    from luthier.models.load import load_model

    renderer = load_model(real_data / "stories260k", device="cpu").renderer
    pieces = [*TRICKY, "Once upon a time", "the dog", "."]

    @settings(max_examples=150)
    @given(
        turns=st.lists(
            st.tuples(*[st.lists(st.sampled_from(pieces), max_size=4).map("".join)] * 2), min_size=1, max_size=3
        )
    )
    def check(turns):
        flat = conversation(*(text for turn in turns for text in turn))
        rows = renderer.render(flat)
        for index in range(1, len(flat), 2):
            prompt = tuple(renderer.prompt(flat[:index]))
            row = rows[0] if len(rows) == 1 else rows[index // 2]
            assert row.token_ids[: len(prompt)] == prompt
            assert row.weights[len(prompt)] > 0

    check()


def test_the_gpt2_tokenizer_under_a_template_that_ends_in_two_newlines(real_data):
    """"\\n\\n" is one token at the end of a prompt and two before a word; the trained row has the one."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(real_data / "gpt2_tokenizer")
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role + '\n\n' + m.content + eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant\n\n' }}{% endif %}"
    )
    renderer = Renderer(tokenizer, name="gpt2")
    turns = conversation("hi", "Hello", "again", "Yes")
    prompt = renderer.prompt(turns[:1])
    assert tokenizer.decode([prompt[-1]]) == "\n\n"
    rows = renderer.render(turns)
    assert len(rows) == 2  # one row cannot hold both borders as they are served
    assert list(rows[0].token_ids[: len(prompt)]) == prompt
    assert list(rows[1].token_ids[: len(renderer.prompt(turns[:3]))]) == renderer.prompt(turns[:3])


def test_leading_bos_is_what_the_template_declares(shape):
    """Doubled BOS: for training, evaluation, serving and preferences alike."""
    renderer = renderer_of(shape)
    bos = renderer.tokenizer.bos_token_id
    declared = 1 if shape == "gemma3" else 0  # only Gemma's template writes one; GPT-2's BOS is its end token
    turns = conversation("a", "b")
    streams = {
        "train": renderer.render(turns)[0].token_ids,
        "preference": renderer.render_answer(turns[:1], "b").token_ids,
        "evaluate and serve": renderer.prompt(turns[:1]),
    }
    for ids in streams.values():
        assert next(n for n, t in enumerate([*ids, -1]) if bos is None or t != bos) == declared


def test_a_plain_template_on_a_tokenizer_with_bos_writes_it_once(real_data):
    """Stories260k's own post-processor would add a BOS to the one that the template writes."""
    from luthier.models.load import load_model

    model = load_model(real_data / "stories260k", device="cpu")
    ids = model.renderer.prompt(conversation("a"))
    assert ids[0] == model.tokenizer.bos_token_id and ids.count(model.tokenizer.bos_token_id) == 1
    assert model.tokenizer(model.renderer.text(conversation("a"))).input_ids[:2] == [ids[0], ids[0]]  # what is avoided


def test_rendered_text_is_what_transformers_renders(tiny, shape):
    """Exported template differs: the public loader's own method makes the same ids."""
    model = tiny(shape)
    turns = conversation("where is it?", "on its way")
    chat = [{"role": m.role, "content": m.content} for m in turns]
    theirs = model.tokenizer.apply_chat_template(chat, tokenize=False)
    assert model.renderer.text(turns) == theirs
    served = model.tokenizer.apply_chat_template(chat[:1], add_generation_prompt=True, return_dict=False)
    assert model.renderer.prompt(turns[:1]) == served


def test_a_template_that_rewrites_history_splits_the_row():
    """Reasoning templates rewrite history: each answer trains as it will be served."""
    renderer = renderer_of("qwen3")
    turns = conversation("a", "<think>\nhm\n</think>\nb", "c", "<think>\nso\n</think>\nd")
    rows = renderer.render(turns)
    assert [trained_text(renderer, row) for row in rows] == [
        "<think>\nhm\n</think>\nb<|im_end|>", "<think>\nso\n</think>\nd<|im_end|>",
    ]  # fmt: skip
    assert "hm" not in rows[1].text
    assert list(rows[1].token_ids[: len(renderer.prompt(turns[:3]))]) == renderer.prompt(turns[:3])


def test_a_template_that_rewrites_history_splits_the_row_with_markers_too():
    """Markers in the rewritten text do not make it what was served."""
    marked = QWEN3_TEMPLATE.replace(
        "{%- else -%}{{- m.content -}}{%- endif -%}",
        "{%- elif m.role == 'assistant' -%}{%- generation -%}{{- m.content -}}{%- endgeneration -%}"
        "{%- else -%}{{- m.content -}}{%- endif -%}",
    ).replace(
        "{{- m.content.split('</think>')[-1].lstrip('\n') -}}",
        "{%- generation -%}{{- m.content.split('</think>')[-1].lstrip('\n') -}}{%- endgeneration -%}",
    )
    assert marked.count("{%- generation -%}") == 2
    turns = conversation("a", "<think>\nhm\n</think>\nb", "c", "d")
    assert renderer_of("qwen3", marked).render(turns) == renderer_of("qwen3").render(turns)


def test_a_template_that_keeps_history_makes_one_row():
    """Render(turns[:k]) is a prefix of render(turns), so nothing is split."""
    turns = conversation("a", "b", "c", "d", "e", "f")
    for shape in SHAPES:
        assert len(renderer_of(shape).render(turns)) == 1


def test_a_template_that_is_not_consistent_is_an_error_that_names_it():
    """Where not even one answer continues its prompt, nothing trains."""
    template = "{{ messages | length }}{% for m in messages %}{{ m.content + eos_token }}{% endfor %}"
    renderer = renderer_of("gpt2", template)
    with pytest.raises(ModelError) as error:
        renderer.render(conversation("a", "b"))
    assert "the chat template of tiny cannot be used" in str(error.value)
    assert "not the beginning of its own continuation" in str(error.value)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ raise_exception('no') }}", "TemplateError"),
        ("{% for m in messages %}{{ m.content + 1 }}{% endfor %}", "TypeError"),
        ("{{ nothing.at.all }}", "UndefinedError"),
        ("{% for %}", "TemplateSyntaxError"),
    ],
)
def test_whatever_a_template_raises_is_an_error_that_names_it(template, expected):
    with pytest.raises(ModelError, match=expected):
        renderer_of("gpt2", template).render(conversation("a", "b"))


def test_a_template_that_refuses_a_role_says_so():
    with pytest.raises(ModelError, match="System role not supported") as error:
        renderer_of("gemma3").render([Message(role="system", content="s"), *conversation("a", "b")])
    assert "system, user" in str(error.value)


def test_a_template_without_a_stop_token_is_an_error():
    """An answer that nothing ends would teach the model never to stop."""
    template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    with pytest.raises(ModelError, match="without a stop token"):
        renderer_of("gpt2", template).render(conversation("a", "b"))


LOSES_PROMPT = "{% for m in messages if m.role == 'assistant' %}{{ m.content + eos_token }}{% endfor %}"
LOSES_ANSWER = "{% for m in messages %}{{ m.content if m.role == 'user' else eos_token }}{% endfor %}"


@pytest.mark.parametrize(
    ("template", "found"), [(LOSES_PROMPT, "every token trains"), (LOSES_ANSWER, "no token trains")]
)
def test_a_template_that_loses_the_prompt_or_the_answer_is_an_error_before_training(template, found):
    """All weights or none would train without a complaint; a lone answer or an empty one is no such thing."""
    renderer = renderer_of("gpt2", template)
    for render in (renderer.render, lambda turns: renderer.render_answer(turns[:1], turns[1].content)):
        with pytest.raises(ModelError, match=found):
            render(conversation("a question", "an answer"))
        assert render(conversation("", "")) is not None


def test_no_plain_template_without_an_end_token():
    tokenizer = tiny_tokenizer("gpt2")
    tokenizer.eos_token = None
    with pytest.raises(ModelError, match="no chat template, and none can be added"):
        plain_template(tokenizer, name="base")


def test_show_puts_trained_tokens_in_brackets():
    renderer = renderer_of("llama")
    row = renderer.render(conversation("é\n😀", "日x"))[0]
    shown = renderer.show(row)
    assert shown.startswith("<|user|>é\n😀<|end|><|assistant|>[")
    assert shown.endswith("[<|end|>]")
    assert shown.replace("[", "").replace("]", "") == row.text


def test_golden_rows_of_our_own_template():
    """A mask lost in a refactor: ids and weights of these rows are in the repository."""
    renderer = renderer_of("llama")
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert len(golden) == 5
    for row in golden:
        rendered = renderer.render([Message(**turn) for turn in row["messages"]])
        assert len(rendered) == 1
        assert list(rendered[0].token_ids) == row["token_ids"]
        assert list(rendered[0].weights) == row["weights"]


@settings(max_examples=100)
@given(
    question=contents,
    answer=contents,
    limit=st.integers(2, 40),
    overlong=st.sampled_from(["cut_prompt", "cut_answer", "drop"]),
)
def test_fit_keeps_the_books_and_never_exceeds_the_limit(question, answer, limit, overlong):
    """Silent truncation: what fell off is stated, and what is left is within the limit."""
    row = renderer_of("llama").render(conversation(question, answer))[0]
    fitted = fit(row, max_length=limit, overlong=overlong)
    before = len(row.token_ids)
    if fitted.rendered is None:
        assert (fitted.outcome, fitted.tokens_off) == ("dropped", before)
        return
    after = len(fitted.rendered.token_ids)
    assert after <= limit and after + fitted.tokens_off == before
    assert len(fitted.rendered.weights) == after
    if before <= limit:
        assert fitted == (row, "kept", 0)
    elif overlong == "cut_prompt":
        assert fitted.outcome == "prompt cut"
        assert fitted.rendered.num_trained == row.num_trained  # the whole answer and its stop token
        assert fitted.rendered.token_ids[-1] in renderer_of("llama").stop_ids
        assert fitted.rendered.token_ids[0] == row.token_ids[0]
    else:
        assert (fitted.outcome, overlong) == ("answer cut", "cut_answer")
        assert fitted.rendered.token_ids == row.token_ids[:after]


def test_fit_takes_template_text_after_the_answer_first(tiny):
    """The newline that a template writes after the stop token goes before any of the prompt does."""
    row = tiny("qwen3").renderer.render(conversation("one two three", "yes"))[0]
    assert row.weights[-1] == 0
    fitted = fit(row, max_length=len(row.token_ids) - 1)
    assert fitted.rendered is not None and fitted.rendered.token_ids == row.token_ids[:-1]
    shorter = fit(row, max_length=len(row.token_ids) - 3)
    assert shorter.rendered is not None
    assert shorter.rendered.token_ids == (row.token_ids[0], *row.token_ids[3:-1])


def test_example_prompt_and_training_row_meet(tiny, shape):
    """What evaluation and serving show a model for an example begins its training row."""
    model = tiny(shape)
    example = Example.of(conversation("hi", "yes", "and?", "no"))
    ids = model.renderer.prompt(example.prompt)
    assert list(model.renderer.render(example.messages)[0].token_ids[: len(ids)]) == ids
