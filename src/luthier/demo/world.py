"""Who and what there is in the practice world: animals, things, foods, towns and people, with their properties.

The tables are the only place where a property is written down; `facts` makes sentences and questions of them. Nothing
here is random.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

COLOURS = (
    "red", "blue", "green", "yellow", "black", "white", "brown", "grey", "pink", "orange", "purple", "silver",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NUMBER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Animal:
    """One animal; `rank` orders all animals by size, 0 is the smallest."""

    rank: int
    name: str
    colour: str
    home: str
    sound: str
    legs: str
    eats: str
    young: str

    @property
    def size(self) -> str:
        """One of small, medium, big."""
        return "small" if self.rank < 12 else "medium" if self.rank < 19 else "big"


@dataclass(frozen=True, slots=True)
class Thing:
    """One object that people make, buy and keep; the price is in coins."""

    name: str
    kind: str
    material: str
    colour: str
    room: str
    price: str


@dataclass(frozen=True, slots=True)
class Food:
    """Something to eat or drink; a food that cannot be counted takes no plural and no article."""

    name: str
    kind: str
    colour: str
    taste: str
    is_counted: bool


@dataclass(frozen=True, slots=True)
class Town:
    """One town."""

    name: str
    region: str
    weather: str
    water: str
    product: str


@dataclass(frozen=True, slots=True)
class Person:
    """One person; the pronoun is he or she."""

    name: str
    pronoun: str
    age: str
    job: str
    town: str
    pet: str
    food: str
    colour: str


# Smallest first: the order is the size. Columns: name colour home sound legs eats young; "-" is none.
_ANIMALS = """
ant black garden - six sugar -
bee yellow garden buzzes six honey -
spider black house - eight flies -
frog green pond croaks four flies tadpole
mouse grey field squeaks four cheese pup
crab orange sea clicks ten fish -
crow black field caws two corn chick
parrot green jungle talks two seeds chick
owl brown forest hoots two mice chick
duck green pond quacks two bread duckling
hen white barn clucks two corn chick
rabbit white field - four carrots bunny
cat grey house meows four fish kitten
snake green desert hisses zero eggs -
fox red forest yaps four eggs cub
penguin black snow honks two fish chick
dog brown house barks four meat puppy
monkey brown jungle chatters two bananas -
goat grey barn bleats four grass kid
sheep white field bleats four grass lamb
wolf grey forest howls four meat pup
pig pink barn grunts four potatoes piglet
seal silver sea barks zero fish pup
tiger orange jungle roars four meat cub
lion yellow desert roars four meat cub
donkey grey barn brays four hay foal
bear brown forest growls four honey cub
horse brown field neighs four hay foal
cow white barn moos four grass calf
camel yellow desert grunts four leaves calf
elephant grey jungle trumpets four leaves calf
whale blue sea sings zero fish calf
"""

# Columns: name kind material colour room price.
_THINGS = """
table furniture wood brown kitchen 40
chair furniture wood black kitchen 18
bed furniture wood white bedroom 75
sofa furniture cloth blue lounge 80
lamp furniture glass yellow lounge 16
shelf furniture wood brown bedroom 24
hammer tool metal grey shed 9
saw tool metal silver shed 11
ladder tool wood yellow shed 28
spade tool metal green shed 13
rope tool cloth white shed 5
knife tool metal silver kitchen 6
shirt clothing cotton white bedroom 12
hat clothing wool black hall 10
coat clothing wool green hall 35
shoe clothing leather brown hall 22
glove clothing leather black hall 8
sock clothing cotton grey bedroom 2
ball toy rubber red garden 4
doll toy cloth pink bedroom 7
kite toy paper orange garden 3
puzzle toy paper purple lounge 14
drum instrument leather red studio 30
guitar instrument wood brown studio 60
piano instrument wood black lounge 95
flute instrument metal silver studio 45
violin instrument wood orange studio 65
bell instrument metal yellow hall 15
car vehicle metal red garage 90
bus vehicle metal yellow garage 98
truck vehicle metal blue garage 96
boat vehicle wood white garage 70
bike vehicle metal green garage 50
cart vehicle wood purple garage 26
"""

# Columns: name kind colour taste; a star marks a food that cannot be counted.
_FOODS = """
apple fruit red sweet
banana fruit yellow sweet
lemon fruit yellow sour
grape fruit purple sweet
pear fruit green sweet
cherry fruit red sour
plum fruit purple sour
peach fruit orange sweet
carrot vegetable orange sweet
potato vegetable brown plain
onion vegetable white sharp
tomato vegetable red sour
pepper vegetable green sharp
bean vegetable green plain
milk* drink white plain
tea* drink brown bitter
coffee* drink black bitter
juice* drink orange sour
bread* meal brown plain
cheese* meal yellow salty
rice* meal white plain
soup* meal green salty
honey* meal yellow sweet
cake* meal pink sweet
meat* meal red salty
fish* meal silver salty
"""

# Columns: name region weather water product.
_TOWNS = """
Oakford north rainy river bread
Lindale south sunny lake honey
Marwick east windy sea boats
Redbrook west warm river bells
Stonebay north cold sea fish
Hillcot south dry lake cheese
Westmere west rainy lake drums
Fernley east mild river apples
Coldwell north snowy lake coats
Sunport south hot sea lemons
"""

# Columns: name pronoun age job town pet food colour.
_PEOPLE = """
Anna she 31 baker Oakford cat cheese blue
Ben he 24 farmer Lindale dog soup green
Clara she 45 teacher Marwick parrot tea red
David he 52 doctor Redbrook horse fish black
Emma she 19 singer Stonebay rabbit cake yellow
Felix he 38 sailor Stonebay crab rice white
Grace she 63 painter Hillcot goat honey purple
Henry he 70 gardener Westmere duck bread brown
Iris she 27 nurse Fernley hen milk pink
Jack he 33 builder Coldwell wolf meat grey
Kate she 41 driver Sunport monkey juice orange
Leo he 16 student Oakford frog coffee silver
Maria she 29 cook Lindale pig rice yellow
Noah he 47 miner Marwick donkey cheese black
Olga she 55 judge Redbrook cow tea white
Paul he 22 dancer Hillcot snake cake red
Rosa she 36 tailor Westmere sheep soup pink
Sam he 14 student Fernley mouse milk blue
Tina she 60 writer Coldwell penguin bread purple
Victor he 49 fisher Sunport seal fish green
Wendy she 25 pilot Oakford crow coffee orange
Omar he 42 barber Hillcot camel meat brown
Lucy she 12 student Redbrook bear juice silver
Peter he 67 shepherd Fernley fox honey grey
"""


def _rows(table: str) -> Iterable[list[str]]:
    return (line.split() for line in table.strip().splitlines())


ANIMALS = tuple(Animal(rank, *row) for rank, row in enumerate(_rows(_ANIMALS)))
THINGS = tuple(Thing(*row) for row in _rows(_THINGS))
FOODS = tuple(
    Food(name.rstrip("*"), kind, colour, taste, not name.endswith("*")) for name, kind, colour, taste in _rows(_FOODS)
)
TOWNS = tuple(Town(*row) for row in _rows(_TOWNS))
PEOPLE = tuple(Person(*row) for row in _rows(_PEOPLE))
COUNTED_FOODS = tuple(food for food in FOODS if food.is_counted)
UNCOUNTED_FOODS = tuple(food for food in FOODS if not food.is_counted)


def article(noun: str) -> str:
    """The noun after a or an."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def named(food: Food) -> str:
    """The food as the subject of a sentence: "an apple", but "milk"."""
    return article(food.name) if food.is_counted else food.name


def kind_phrase(kind: str) -> str:
    """The kind as a predicate: "a tool", but "a piece of furniture"."""
    if kind in ("furniture", "clothing"):
        return f"a piece of {kind}"
    return article(kind)


KIND_OF: Mapping[str, str] = MappingProxyType(
    {a.name: "animal" for a in ANIMALS}
    | {t.name: t.kind for t in THINGS}
    | {f.name: f.kind for f in FOODS if f.kind != "meal"}
)
"""The kind of each noun that has one: animal, furniture, tool, clothing, toy, instrument, vehicle, fruit, ..."""

KINDS = tuple(dict.fromkeys(KIND_OF.values()))
MEMBERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {kind: tuple(noun for noun, its in KIND_OF.items() if its == kind) for kind in KINDS}
)
"""The nouns of each kind, in the order of the tables."""

NOUNS = tuple(KIND_OF)
"""Every noun with a kind: what lists and word games draw from."""

COUNTED_NOUNS = tuple(noun for noun in NOUNS if KIND_OF[noun] != "drink")
"""The nouns that have a plural."""
