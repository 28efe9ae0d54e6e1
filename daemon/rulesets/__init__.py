"""The rulesets in force: loading, checking in a child process, acceptance, rollback."""

# Nothing is imported here: the child process that checks would have to load the service, too.
