"""Data for programs: arrays from files, literals of the command line, and their binding to names.

Files are only ever read as numbers: nothing in them, or in a selection, is evaluated.
"""

from nexort.data.arrays import LoadedArray, from_array
from nexort.data.binding import bind
from nexort.data.entries import load_entries
from nexort.data.literals import literal

__all__ = ["LoadedArray", "bind", "from_array", "literal", "load_entries"]
