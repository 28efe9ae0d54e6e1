"""Tests of the process that hosts the library of a linked device."""
