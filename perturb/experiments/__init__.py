"""The experiments, one folder each.

Tables, charts and the page find these files of a folder by name:

<table>.sql, <table>.rst     the query of a declared table, and its caption
<chart>.chart.rst            the caption of a declared chart
relations/<relation>.sql     a relation that tables of any experiment read; its first
                             line names those that it reads itself: ``-- NEEDS cells, series``
relations/checks/            queries for mistakes in a relation, which return no row if valid
columns.csv                  columns that only tables of this experiment have
page.html                    the introduction of its section of the page, and the terms
sure.html                    items of the page's list of intervals
method.md                    what it measures, its formula and references, for the documentation
picture.rst                  the caption of a picture that a separate job draws
"""
