module example.org/pattern-search

go 1.19
