"""Data for programs: arrays from files, literals of the command line, and their binding to names.

Files are only ever read as numbers: nothing in them, or in a selection, is evaluated.
"""
