"""Raw files in, trusted examples out, and an account of every row on the way.

reading, tables    files -> raw rows, each with its place, its bytes and its columns
shapes, turns      a raw row -> an Example or a Preference, or a fault that says what to mend
rows               the two steps above for stages that must not change a row: training, `luthier show`
cleaning           repair what reading tools and editors break in a text, and nothing else
split              train, dev and held_out, by groups of rows that must not be parted
pipeline           all of it, in order; ledger: the account; card: the account as a page
"""
