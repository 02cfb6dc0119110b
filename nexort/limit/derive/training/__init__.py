"""The limit of a training as mathematics: steps and loops symbolic, the backward pass by lines."""
