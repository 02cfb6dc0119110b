"""Parametrizations judged: the dynamical dichotomy (2.8), exactly, and sizes in any network.

``theorem`` has the conditions of perceptrons, ``counting`` every vector's and scalar's power of n
from a network's graph, ``repair`` the smallest repair of a bad parametrization.
"""
