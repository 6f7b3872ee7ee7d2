"""The one error that reaches a user: a single line, exit status 2."""

EXIT_STATUS = 2


class HardspikeError(Exception):
    """Bad input, or an environment that cannot do what was asked.

    The message is one line that names the file or field, what was found and what is allowed.
    The command line prints it without a traceback and ends with status 2. Several faults of one
    file travel together, one line each.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(" ".join(line.split()) for line in lines))
