"""How progress, plans and errors look: the only part of `portable` that prints.

`console` makes the two consoles, `progress` turns events into a live tree, lines or JSON lines, and the other modules each
draw one thing: `plan`, `problems`, `failure`, `tables`, `summary`. Everything here imports rich, so import it late.
"""
