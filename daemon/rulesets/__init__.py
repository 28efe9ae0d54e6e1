"""Rulesets in force: loaded, checked in a process apart, accepted, rolled back.

Nothing is imported here: the process that checks would load the service, too.
"""
