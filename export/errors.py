"""The one error that reaches a user: a single line, exit status 2."""

EXIT_STATUS = 2


class HardspikeError(Exception):
    """Bad input, or an environment that cannot do what was asked.

    The message is one line that names the file or field, what was found and what is allowed.
    The command line prints it without a traceback and ends with status 2. Several faults of one
    file travel together, one line each.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(one_line(line) for line in lines))


_LONGEST = 1500


def one_line(text: str) -> str:
    """Return `text` as one line of bounded length that no terminal obeys.

    Files from elsewhere name their parts as they like, escape sequences and line breaks included.
    """
    line = " ".join(text[: 4 * _LONGEST].split())
    shown = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in line
    )
    if len(shown) > _LONGEST:
        return f"{shown[: _LONGEST // 2]} … {shown[-_LONGEST // 2 :]}"
    return shown
