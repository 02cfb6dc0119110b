"""The limit of a program as mathematics, with loop indices symbolic: never unrolled to derive."""
