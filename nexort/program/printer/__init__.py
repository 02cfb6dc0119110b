"""Programs as text: the inverse of nexort.elaborate."""

from nexort.program.printer.module import module_of, print_program

__all__ = ["module_of", "print_program"]
