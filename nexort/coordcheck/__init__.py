"""Coordinate checks: how sizes in a training grow with the width, fitted and predicted.

A training runs at a series of widths (``measure``, ``sizes``); the power of n in every tensor's
size is fitted (``fit``) and set beside the power that sizes are counted to have (``predict``).
"""
