from luthier.demo import lexicon, world
from luthier.demo.facts import FACTS, Fact
from luthier.demo.text import documents
from luthier.demo.world import KIND_OF, MEMBERS


def test_every_subject_has_one_value_for_each_property() -> None:
    keys = [(fact.subject, fact.attribute.name) for fact in FACTS]

    assert len(keys) == len(set(keys))


def test_a_fact_is_one_of_the_values_that_its_property_takes() -> None:
    assert all(fact.value in fact.attribute.values for fact in FACTS)


def test_no_noun_names_two_subjects() -> None:
    names = [noun.name for table in (world.ANIMALS, world.THINGS, world.FOODS) for noun in table]

    assert len(names) == len(set(names))
    assert sum(len(members) for members in MEMBERS.values()) == len(KIND_OF)


def test_the_plain_statements_of_two_properties_differ() -> None:
    by_subject: dict[str, list[Fact]] = {}
    for fact in FACTS:
        by_subject.setdefault(fact.subject, []).append(fact)

    for facts in by_subject.values():
        gaps = [fact.said("___") for fact in facts]
        assert len(gaps) == len(set(gaps)), "a gap with two right answers"


def test_a_spot_check_of_the_fox() -> None:
    statements = {fact.statement for fact in FACTS if fact.subject == "a fox"}

    assert statements == {
        "a fox is red", "a fox lives in the forest", "a fox yaps", "a fox has four legs", "a fox eats eggs",
        "a fox is medium in size",
    }  # fmt: skip


def test_the_opposite_of_an_opposite_is_the_word() -> None:
    assert all(lexicon.OPPOSITE[other] == word for word, other in lexicon.OPPOSITE.items())


def test_no_spanish_word_stands_for_two_english_words() -> None:
    assert len(set(lexicon.SPANISH.values())) == len(lexicon.SPANISH)


def test_spanish_adjectives_agree_with_their_noun() -> None:
    nouns = {noun.english: noun for noun in lexicon.SPANISH_NOUNS}
    red = next(adjective for adjective in lexicon.SPANISH_ADJECTIVES if adjective.english == "red")

    assert f"{nouns['fox'].with_the} {red.of(nouns['fox'])}" == "el zorro rojo"
    assert f"{nouns['apple'].with_a} {red.of(nouns['apple'])}" == "una manzana roja"


def test_plurals_follow_the_rules_and_the_exceptions() -> None:
    assert [lexicon.plural(noun) for noun in ("cat", "fox", "cherry", "monkey", "tomato", "mouse", "sheep")] == [
        "cats", "foxes", "cherries", "monkeys", "tomatoes", "mice", "sheep",
    ]  # fmt: skip


def test_the_text_states_nearly_every_fact() -> None:
    text = "\n".join(documents(3, 6000)).lower()
    unstated = [f.statement for f in FACTS if not any(
        f.said(f.value, wording).lower() in text for wording in range(len(f.attribute.statements))
    )]  # fmt: skip

    assert len(unstated) < 0.01 * len(FACTS), unstated
