"""Words that must be the same in two texts that say the same: negations, numbers in letters, letters that stand alone.

The lists are short and closed: English, German, French, Spanish, Italian, Portuguese, Dutch, Hindi, Arabic, and of
others the commonest. A language that is missing has its digits only.
"""

NEGATIONS = (
    # English
    "no", "not", "never", "none", "nobody", "nothing", "neither", "nor", "nowhere", "cannot", "without", "except",
    "unless", "t", "dont", "cant", "wont", "isnt",
    # German
    "nicht", "nichts", "kein", "keine", "keinen", "keinem", "keiner", "keines", "nie", "niemals", "niemand",
    "niemanden", "ohne", "weder",
    # French
    "ne", "pas", "jamais", "aucun", "aucune", "rien", "sans", "ni", "non",
    # Spanish
    "nunca", "jam\xe1s", "nadie", "nada", "ning\xfan", "ninguno", "ninguna", "tampoco", "sin",
    # Italian
    "nessun", "nessuno", "nessuna", "niente", "nulla", "mai", "senza", "n\xe9",
    # Portuguese
    "n\xe3o", "nenhum", "nenhuma", "ningu\xe9m", "nem", "sem",
    # Dutch
    "niet", "geen", "nooit", "niets", "zonder",
    # Danish, Norwegian, Swedish
    "ikke", "ikkje", "aldrig", "aldri", "ingen", "inget", "intet", "inte", "utan", "uden", "uten",
    # Polish, Turkish
    "nigdy", "nikt", "bez", "de\u011fil", "yok",
    # Russian
    "\u043d\u0435", "\u043d\u0435\u0442", "\u043d\u0438", "\u043d\u0438\u043a\u043e\u0433\u0434\u0430",
    "\u043d\u0438\u043a\u0442\u043e", "\u043d\u0438\u0447\u0435\u0433\u043e", "\u0431\u0435\u0437",
    "\u043d\u0435\u043b\u044c\u0437\u044f",
    # Hindi
    "\u0928\u0939\u0940\u0902", "\u0928\u0939\u0940", "\u092e\u0924", "\u092c\u093f\u0928\u093e", "\u0928",
    "\u0928\u093e",
    # Arabic
    "\u0644\u0627", "\u0644\u0645", "\u0644\u0646", "\u0644\u064a\u0633", "\u0644\u064a\u0633\u062a",
    "\u0644\u064a\u0633\u0648\u0627", "\u0644\u0633\u062a", "\u0628\u062f\u0648\u0646", "\u063a\u064a\u0631",
    "\u0648\u0644\u0627", "\u0648\u0644\u0645", "\u0648\u0644\u0646", "\u0648\u0644\u064a\u0633",
    # Chinese, Korean
    "\u4e0d", "\u6ca1", "\u6c92", "\u65e0", "\u7121", "\u975e", "\u672a", "\u522b", "\u5225", "\u5426", "\uc548",
    "\ubabb", "\uc5c6\ub2e4", "\uc544\ub2c8\ub2e4",
)  # fmt: skip
"""Words that turn a sentence round; "t" is what is left of "don't"."""
NUMBERS = (
    # English
    "zero", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty", "thirty", "forty", "fifty",
    "sixty", "seventy", "eighty", "ninety", "hundred", "thousand", "million", "billion", "half", "twice", "double",
    "triple", "dozen", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    # German
    "null", "zwei", "drei", "vier", "f\xfcnf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zw\xf6lf",
    "dreizehn", "vierzehn", "f\xfcnfzehn", "zwanzig", "dreissig", "vierzig", "f\xfcnfzig", "sechzig", "siebzig",
    "achtzig", "neunzig", "hundert", "tausend", "zweite", "zweiten", "dritte", "dritten", "vierte", "vierten", "halb",
    "doppelt",
    # French
    "deux", "trois", "quatre", "cinq", "sept", "huit", "neuf", "dix", "onze", "douze", "treize", "quatorze", "quinze",
    "seize", "vingt", "trente", "quarante", "cinquante", "soixante", "cent", "mille", "deuxi\xe8me", "troisi\xe8me",
    # Spanish
    "cero", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez", "doce", "trece", "catorce",
    "quince", "veinte", "treinta", "cuarenta", "cincuenta", "sesenta", "setenta", "ochenta", "noventa", "cien",
    "ciento", "mil", "segundo", "segunda", "tercero", "tercera",
    # Italian
    "due", "tre", "quattro", "cinque", "sei", "sette", "otto", "nove", "dieci", "undici", "dodici", "venti", "trenta",
    "quaranta", "cinquanta", "cento", "mila", "secondo", "seconda", "terzo", "terza",
    # Portuguese
    "dois", "duas", "tr\xeas", "quatro", "sete", "oito", "dez", "doze", "vinte", "trinta", "quarenta", "cinquenta",
    "cem", "terceiro", "terceira",
    # Dutch
    "twee", "drie", "vijf", "zes", "zeven", "negen", "tien", "twaalf", "twintig", "dertig", "veertig", "vijftig",
    "honderd", "duizend", "tweede", "derde", "vierde",
    # Russian
    "\u0434\u0432\u0430", "\u0434\u0432\u0435", "\u0442\u0440\u0438", "\u0447\u0435\u0442\u044b\u0440\u0435",
    "\u043f\u044f\u0442\u044c", "\u0448\u0435\u0441\u0442\u044c", "\u0441\u0435\u043c\u044c",
    "\u0432\u043e\u0441\u0435\u043c\u044c", "\u0434\u0435\u0432\u044f\u0442\u044c",
    "\u0434\u0435\u0441\u044f\u0442\u044c", "\u0434\u0432\u0430\u0434\u0446\u0430\u0442\u044c",
    "\u0442\u0440\u0438\u0434\u0446\u0430\u0442\u044c", "\u0441\u0442\u043e", "\u0442\u044b\u0441\u044f\u0447\u0430",
    "\u0432\u0442\u043e\u0440\u043e\u0439", "\u0442\u0440\u0435\u0442\u0438\u0439",
    # Hindi
    "\u0926\u094b", "\u0924\u0940\u0928", "\u091a\u093e\u0930", "\u092a\u093e\u0901\u091a",
    "\u092a\u093e\u0902\u091a", "\u091b\u0939", "\u091b\u0903", "\u0938\u093e\u0924", "\u0906\u0920", "\u0928\u094c",
    "\u0926\u0938", "\u0917\u094d\u092f\u093e\u0930\u0939", "\u092c\u093e\u0930\u0939", "\u092c\u0940\u0938",
    "\u0924\u0940\u0938", "\u091a\u093e\u0932\u0940\u0938", "\u092a\u091a\u093e\u0938", "\u0938\u094c",
    "\u0939\u091c\u093c\u093e\u0930", "\u0939\u091c\u093e\u0930", "\u0932\u093e\u0916",
    "\u0915\u0930\u094b\u0921\u093c", "\u0926\u0942\u0938\u0930\u093e", "\u0924\u0940\u0938\u0930\u093e",
    # Arabic
    "\u0627\u062b\u0646\u0627\u0646", "\u0627\u062b\u0646\u064a\u0646", "\u062b\u0644\u0627\u062b\u0629",
    "\u062b\u0644\u0627\u062b", "\u0623\u0631\u0628\u0639\u0629", "\u0623\u0631\u0628\u0639",
    "\u062e\u0645\u0633\u0629", "\u062e\u0645\u0633", "\u0633\u062a\u0629", "\u0633\u062a",
    "\u0633\u0628\u0639\u0629", "\u0633\u0628\u0639", "\u062b\u0645\u0627\u0646\u064a\u0629",
    "\u062b\u0645\u0627\u0646\u064a", "\u062a\u0633\u0639\u0629", "\u062a\u0633\u0639", "\u0639\u0634\u0631\u0629",
    "\u0639\u0634\u0631", "\u0639\u0634\u0631\u0648\u0646", "\u0639\u0634\u0631\u064a\u0646", "\u0645\u0626\u0629",
    "\u0645\u0627\u0626\u0629", "\u0623\u0644\u0641", "\u0645\u0644\u064a\u0648\u0646",
    # Chinese, Japanese
    "\u4e8c", "\u4e24", "\u5169", "\u4e09", "\u56db", "\u4e94", "\u516d", "\u4e03", "\u516b", "\u4e5d", "\u5341",
    "\u767e", "\u5343", "\u4e07", "\u842c",
)  # fmt: skip
"""Numbers in letters. "One" and "first" are left out: they are pronoun and adverb more often than number."""
LETTERS = tuple("bcefghjklnopqruvwxyz")
"""Letters that are no word of English and no end of one ("a", "I", "it's", "I'd", "I'm", "don't")."""
