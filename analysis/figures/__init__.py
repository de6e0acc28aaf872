"""One figure, one file: ``table(study, options) -> DataFrame`` computes, ``draw(table, figure) -> None`` draws it and computes nothing.

A module also has TITLE and CAPTION, the words of the page about it: what is drawn, and how to read it. The footer is not the figure's
business: `analysis.render` adds it to all.
"""
