"""What the words of the practice world mean: opposites, plurals, past forms and Spanish.

As in `world`, the tables are the only place where a word is written down, and nothing here is random.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from luthier.demo.world import ANIMALS, NUMBER_WORDS

_OPPOSITES = """
hot cold, big small, fast slow, happy sad, day night, up down, open shut, hard soft, wet dry, clean dirty, full empty,
rich poor, strong weak, long short, high low, loud quiet, early late, good bad, left right, inside outside, near far,
thick thin, heavy light, bright dark, love hate, win lose, push pull, give take, start stop, true false, north south,
east west, young old, sweet sour, sharp blunt, wide narrow, rough smooth, buy sell, laugh cry, arrive leave,
remember forget, always never, above below, front back, summer winter, first last, more less, friend enemy, begin end,
top bottom
"""

_PAST = """
go went, eat ate, see saw, run ran, find found, buy bought, sing sang, write wrote, take took, give gave, walk walked,
jump jumped, come came, drink drank, sleep slept, make made, fall fell, swim swam, draw drew, sell sold, lose lost,
bring brought, play played, open opened, fly flew, speak spoke, drive drove, build built, wash washed,
cook cooked, paint painted
"""

# English, Spanish with its article (el is masculine, la is feminine).
_NOUNS = """
ant la hormiga, bee la abeja, spider la araña, frog la rana, mouse el ratón, crab el cangrejo, crow el cuervo,
parrot el loro, owl el búho, duck el pato, hen la gallina, rabbit el conejo, cat el gato, snake la serpiente,
fox el zorro, penguin el pingüino, dog el perro, monkey el mono, goat la cabra, sheep la oveja, wolf el lobo,
pig el cerdo, seal la foca, tiger el tigre, lion el león, donkey el burro, bear el oso, horse el caballo, cow la vaca,
camel el camello, elephant el elefante, whale la ballena,
table la mesa, chair la silla, bed la cama, sofa el sofá, lamp la lámpara, shelf el estante, hammer el martillo,
saw la sierra, ladder la escalera, spade la pala, rope la cuerda, knife el cuchillo, shirt la camisa, hat el sombrero,
coat el abrigo, shoe el zapato, glove el guante, sock el calcetín, ball la pelota, doll la muñeca, kite la cometa,
drum el tambor, guitar la guitarra, piano el piano, flute la flauta, violin el violín, bell la campana, car el coche,
bus el autobús, truck el camión, boat el barco, bike la bicicleta, cart el carro,
apple la manzana, banana la banana, lemon el limón, grape la uva, pear la pera, cherry la cereza, plum la ciruela,
peach el melocotón, carrot la zanahoria, potato la patata, onion la cebolla, tomato el tomate, pepper el pimiento,
milk la leche, tea el té, coffee el café, juice el zumo, bread el pan, cheese el queso, rice el arroz, soup la sopa,
honey la miel, cake el pastel, meat la carne, fish el pescado,
house la casa, garden el jardín, forest el bosque, sea el mar, river el río, book el libro, door la puerta,
window la ventana, tree el árbol, flower la flor, sun el sol, moon la luna, bird el pájaro, school la escuela,
street la calle, king el rey, queen la reina
"""

# English, Spanish masculine, Spanish feminine. All of them take "ser", so that "is" is always "es".
_ADJECTIVES = """
red rojo roja, blue azul azul, green verde verde, yellow amarillo amarilla, black negro negra, white blanco blanca,
brown marrón marrón, grey gris gris, pink rosa rosa, big grande grande, small pequeño pequeña, new nuevo nueva,
old viejo vieja, good bueno buena, bad malo mala, long largo larga, short corto corta, pretty bonito bonita,
strong fuerte fuerte, fast rápido rápida, slow lento lenta
"""

_SPANISH_NUMBERS = (
    "cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez", "once", "doce", "trece",
    "catorce", "quince", "dieciséis", "diecisiete", "dieciocho", "diecinueve", "veinte",
)  # fmt: skip

_IRREGULAR_PLURALS = {
    "mouse": "mice", "sheep": "sheep", "wolf": "wolves", "shelf": "shelves", "knife": "knives", "fish": "fish",
}  # fmt: skip


def _entries(table: str) -> list[tuple[str, ...]]:
    return [tuple(entry.split()) for entry in table.replace("\n", " ").split(",")]


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun in both languages; the article is el or la."""

    english: str
    article: str
    spanish: str

    @property
    def with_the(self) -> str:
        """The Spanish noun after its definite article."""
        return f"{self.article} {self.spanish}"

    @property
    def with_a(self) -> str:
        """The Spanish noun after its indefinite article."""
        return f"{'un' if self.article == 'el' else 'una'} {self.spanish}"


@dataclass(frozen=True, slots=True)
class Adjective:
    """An adjective in both languages."""

    english: str
    masculine: str
    feminine: str

    def of(self, noun: Noun) -> str:
        """The Spanish form that agrees with the noun."""
        return self.masculine if noun.article == "el" else self.feminine


SPANISH_NOUNS = tuple(Noun(*entry) for entry in _entries(_NOUNS))
SPANISH_ADJECTIVES = tuple(Adjective(*entry) for entry in _entries(_ADJECTIVES))
SPANISH: Mapping[str, str] = MappingProxyType(
    {noun.english: noun.spanish for noun in SPANISH_NOUNS}
    | {adjective.english: adjective.masculine for adjective in SPANISH_ADJECTIVES}
    | dict(zip(NUMBER_WORDS, _SPANISH_NUMBERS, strict=True))
)
"""Each English word and its Spanish; adjectives are masculine."""

_PAIRS = tuple((first, second) for first, second in _entries(_OPPOSITES))
OPPOSITE: Mapping[str, str] = MappingProxyType(dict(_PAIRS) | {second: first for first, second in _PAIRS})
"""Each word that has an opposite; the mapping is its own inverse."""

ALSO_OPPOSITE: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "light": ("dark",), "dark": ("light",), "hard": ("easy",), "short": ("tall",), "right": ("wrong",),
    "old": ("new",), "thin": ("fat",),
})  # fmt: skip
"""Further opposites, of another sense of the word: accepted where one is asked for, never given as the answer."""

PAST: Mapping[str, str] = MappingProxyType({entry[0]: entry[1] for entry in _entries(_PAST)})
"""Verbs and what they become when it was yesterday."""

YOUNG: Mapping[str, str] = MappingProxyType({a.name: a.young for a in ANIMALS if a.young != "-"})
"""Animals and the name of their young."""


def plural(noun: str) -> str:
    """The word for several of the noun."""
    if noun in _IRREGULAR_PLURALS:
        return _IRREGULAR_PLURALS[noun]
    if noun.endswith(("s", "x", "ch", "sh")) or noun in ("potato", "tomato"):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"
